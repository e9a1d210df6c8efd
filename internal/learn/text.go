package learn

import "math"

// MostText is how many bytes of a prompt are looked at: what is hard about a
// request shows at its beginning, and the time is bounded.
const MostText = 2048

const (
	// width is the size of the hashed vocabulary in bits. With 16 the area under
	// the gain curve is .002 greater, and the weights no longer lie in the cache.
	width = 15
	terms = 1 << width
	// mostTerms is how many n-grams count: those of about 1.5 KB of prose. Each is
	// a place in memory that a decision waits for.
	mostTerms = 640
	// counts is how many numbers describe a prompt beside its n-grams.
	counts = 40
)

// Features is what is learned from of a prompt: hashed words and pairs of
// words, and some counts. Nothing of the text can be read from it. It is made
// by Read and may be used again; it is large (1.5 KB), so keep it in a pool.
type Features struct {
	// Salt tells the words of one tenant from those of another: under different
	// salts they share no weights. Read leaves it.
	Salt uint32

	n     int
	term  [mostTerms]uint16
	count [counts]float32
	// scale is what each n-gram weighs: their vector has length 1.
	scale float32
}

// classes of bytes.
const (
	other byte = iota
	lower
	upper
	digit
	space
	high // part of a rune beyond ASCII
)

var class = func() (t [256]byte) {
	for b := range 256 {
		switch {
		case b >= 'a' && b <= 'z':
			t[b] = lower
		case b >= 'A' && b <= 'Z':
			t[b] = upper
		case b >= '0' && b <= '9':
			t[b] = digit
		case b == ' ' || b >= '\t' && b <= '\r':
			t[b] = space
		case b >= 0x80:
			t[b] = high
		}
	}
	return t
}()

const (
	fnvBasis = 2166136261
	fnvPrime = 16777619
)

// mix spreads a hash over the vocabulary.
func mix(h uint32) uint16 {
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	h *= 0x297a2d39
	h ^= h >> 15
	return uint16(h >> (32 - width))
}

// Read makes the features of a prompt; of a longer one than MostText its first
// bytes count.
func (f *Features) Read(text string) {
	whole := len(text)
	if len(text) > MostText {
		text = text[:MostText]
	}
	f.n = 0
	var kinds [6]int
	var marks [128]int
	words, numbers, long, lines, sentences := 0, 0, 0, 0, 0
	var before uint32
	letters := 0
	for i := 0; i < len(text); {
		b := text[i]
		switch class[b] {
		case lower, upper, high:
			h, from := uint32(fnvBasis), i
			for i < len(text) {
				b := text[i]
				k := class[b]
				if k != lower && k != upper && k != high {
					break
				}
				kinds[k]++
				if k == upper {
					b |= 0x20
				}
				h = (h ^ uint32(b)) * fnvPrime
				i++
			}
			words++
			letters += i - from
			if i-from > 7 {
				long++
			}
			f.add(h, &before)
		case digit:
			// Numbers are told apart by their length, the short ones by value.
			h, from := uint32(fnvBasis)^'#', i
			for i < len(text) && class[text[i]] == digit {
				if i-from < 2 {
					h = (h ^ uint32(text[i])) * fnvPrime
				}
				i++
			}
			kinds[digit] += i - from
			numbers++
			f.add((h^uint32(min(i-from, 6)))*fnvPrime, &before)
		case space:
			kinds[space]++
			if b == '\n' {
				lines++
			}
			i++
		default:
			kinds[other]++
			marks[b]++
			if (b == '.' || b == '?' || b == '!') && (i+1 == len(text) || class[text[i+1]] == space) {
				sentences++
			}
			f.add((uint32(fnvBasis)^0x100^uint32(b))*fnvPrime, &before)
			i++
		}
	}
	f.scale = 1 / float32(math.Sqrt(float64(max(f.n, 1))))
	n := float32(max(len(text), 1))
	w := float32(max(words, 1))
	c := f.count[:0]
	c = append(c, 1,
		log1p(whole), log1p(words), log1p(numbers), log1p(lines), log1p(sentences),
		float32(kinds[upper])/n, float32(kinds[digit])/n*4, float32(kinds[other])/n*4, float32(kinds[high])/n, float32(kinds[space])/n,
		float32(letters)/w/8, float32(long)/w, w/float32(max(sentences, 1))/40, float32(numbers)/w)
	for _, m := range markSet {
		s := 0
		for _, b := range []byte(m) {
			s += marks[b]
		}
		c = append(c, log1p(s)/2)
	}
	for len(c) < counts {
		c = append(c, 0)
	}
}

// markSet are the marks that are counted, those of a string together.
var markSet = [...]string{"?", "!", ",", ".", ";", ":", "()", "[]", "{}", "<>", "=", "+", "-", "*", "/", "\\", "^", "_", "$", "%", "\"", "'", "`", "#", "|"}

func log1p(n int) float32 { return float32(math.Log1p(float64(n))) / 4 }

func (f *Features) add(h uint32, before *uint32) {
	if f.n+2 > mostTerms {
		return
	}
	f.term[f.n] = mix(h ^ f.Salt)
	f.n++
	if *before != 0 {
		f.term[f.n] = mix((*before*31 + h) ^ f.Salt)
		f.n++
	}
	*before = h
}
