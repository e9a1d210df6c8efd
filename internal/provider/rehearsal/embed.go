package rehearsal

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"headrace/internal/llm"
)

// Embed is the model that gives embeddings and nothing else.
const Embed = "embed"

const (
	// Dimensions is the length of a vector for which none was asked.
	Dimensions = 256
	// maxDimensions is the longest that can be asked for.
	maxDimensions = 4096
)

// embedder is what a codec of a dialect with embeddings has beside Codec.
type embedder interface {
	DecodeEmbed(body []byte) (*llm.EmbedRequest, error)
	AppendEmbeddings(dst []byte, r *llm.EmbedRequest, e *llm.Embeddings) []byte
}

// embed answers a request for embeddings. header is what its header orders.
func (p *Provider) embed(c *call, header []string, body []byte) (*http.Response, error) {
	codec, ok := c.codec.(embedder)
	if !ok {
		return c.refuse(llm.Errorf(llm.NotFound, "The rehearsal provider has no embeddings in this dialect.")), nil
	}
	r, err := codec.DecodeEmbed(body)
	if err != nil {
		return c.refuse(err), nil
	}
	c.model = r.Model
	texts := make([]string, len(r.Inputs))
	var found []string
	for i := range r.Inputs {
		said := r.Inputs[i].Title + " " + r.Inputs[i].Text
		if len(r.Inputs[i].Tokens) > 0 {
			said = string(r.Inputs[i].Tokens)
		}
		directives, rest := textOrders(said)
		if texts[i] = rest; directives != "" {
			found = append(found, directives)
		}
	}
	directives := strings.Join(found, ";")
	if len(header) > 0 {
		directives = strings.Join(header, ";")
	}
	if resp, err := p.obey(c, directives); resp != nil || err != nil {
		return resp, err
	}
	if c.orders.class == llm.ContentRefused {
		return c.refuse(badOrder("content_refused belongs to answers in words, and embeddings are none")), nil
	}
	if strings.TrimPrefix(c.model, "rehearsal/") != Embed {
		return c.failWith(llm.ModelNotFound), nil
	}
	size := int64(Dimensions)
	if r.Dimensions != 0 {
		size = r.Dimensions
	}
	if size < 1 || size > maxDimensions {
		e := llm.Errorf(llm.InvalidRequest, "Invalid value for 'dimensions': the rehearsal provider gives 1 to %d, not %d.", maxDimensions, size)
		e.Param = "dimensions"
		return c.refuse(e), nil
	}
	e := llm.Embeddings{From: c.dialect, Model: c.model, Usage: llm.Usage{Source: llm.UsageProvider}}
	for _, text := range texts {
		e.Usage.Input += max(1, tokens(len(text)))
		e.Vectors = append(e.Vectors, llm.Vector{Floats: appendFloats(nil, vector(text, int(size)))})
	}
	if err := wait(c.ctx, nil, c.orders.hold); err != nil {
		return nil, err
	}
	return c.json(http.StatusOK, codec.AppendEmbeddings(nil, r, &e)), nil
}

// grams are the lengths of the pieces of text that a vector counts, in
// characters; the longer ones tell more and weigh more.
var grams = []struct {
	size   int
	weight float64
}{{1, 0.2}, {2, 0.5}, {3, 1}, {4, 1}}

// vector gives the unit vector of a text: its pieces of a few characters, each
// hashed to a place and a sign. Texts that share many pieces are near to one
// another. Case, punctuation and the width of spaces do not count.
func vector(text string, size int) []float32 {
	letters := []rune(plainText(text))
	sum := make([]float64, size)
	for _, g := range grams {
		for i := 0; i+g.size <= len(letters); i++ {
			h := hash(letters[i : i+g.size])
			at := h >> 1 % uint64(size)
			if h&1 == 0 {
				sum[at] += g.weight
			} else {
				sum[at] -= g.weight
			}
		}
	}
	length := 0.0
	for _, x := range sum {
		length += x * x
	}
	if length == 0 { // pieces that cancel out: any direction will do, but always the same
		at := hash(letters) % uint64(size)
		sum[at], length = 1, 1
	}
	out := make([]float32, size)
	for i, x := range sum {
		out[i] = float32(x / math.Sqrt(length))
	}
	return out
}

// plainText gives a text in lower case, its words with one space around each.
func plainText(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) && !unicode.IsSymbol(r)
	})
	return " " + strings.Join(words, " ") + " "
}

// hash is FNV-1a over the characters, stirred once more: its lowest bits alone
// would follow the last character too closely.
func hash(letters []rune) uint64 {
	h := uint64(14695981039346656037)
	for _, r := range letters {
		h = (h ^ uint64(r)) * 1099511628211
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// appendFloats appends a JSON array of numbers that read back as the same
// float32.
func appendFloats(dst []byte, v []float32) []byte {
	dst = append(dst, '[')
	for i, x := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
	}
	return append(dst, ']')
}
