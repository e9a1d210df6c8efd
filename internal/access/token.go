package access

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"

	"headrace/internal/llm"
)

// The shape of a token: prefix, 256 random bits in base 62, and a CRC-32 of
// all that in base 62. The prefix makes it findable by secret scanners, the
// checksum tells a typo from an unknown key without a look-up.
const (
	dataPrefix  = "hr-"
	adminPrefix = "hra-"
	randomLen   = 43 // 62^43 > 2^256
	sumLen      = 6  // 62^6 > 2^32
	// minPreset is the least length of a token that the operator chose.
	minPreset = 32
	// maxToken bounds what is hashed for a caller.
	maxToken = 512
	// shown is how much of a token is kept in the clear.
	shown = 7
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// inBase62 says which bytes are digits of base 62. Random characters make
// comparisons unpredictable branches: the table is four times as fast.
var inBase62 = func() (in [256]bool) {
	for i := range len(base62) {
		in[base62[i]] = true
	}
	return in
}()

// NewToken makes a token for a data key: the token, to be shown once, the
// hash to store and the prefix to recognise it by.
func NewToken() (token llm.Secret, hash [32]byte, prefix string) {
	return newToken(dataPrefix)
}

// NewAdminToken makes a token for an admin key; see [NewToken].
func NewAdminToken() (token llm.Secret, hash [32]byte, prefix string) {
	return newToken(adminPrefix)
}

func newToken(kind string) (llm.Secret, [32]byte, string) {
	var random [32]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	s := kind + encodeRandom(random)
	sum := checksum(s)
	s += string(sum[:])
	return llm.Secret(s), Hash(s), s[:shown]
}

func encodeRandom(b [32]byte) string {
	out := make([]byte, randomLen)
	n, base, digit := new(big.Int).SetBytes(b[:]), big.NewInt(62), new(big.Int)
	for i := len(out) - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}

// checksum gives the six characters that end a token with this beginning:
// its CRC-32 (IEEE) in base 62.
func checksum(s string) (out [sumLen]byte) {
	// crc32.ChecksumIEEE takes a slice, which would be an allocation for each
	// request; the loop is the same sum.
	n := ^uint32(0)
	for i := range len(s) {
		n = crc32.IEEETable[byte(n)^s[i]] ^ n>>8
	}
	n = ^n
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return out
}

// Hash returns what is stored of a token: the SHA-256 of all of it. Tokens
// that are longer than 512 bytes are never valid; nobody hashes them.
func Hash(token string) [32]byte {
	if len(token) > maxToken {
		return sha256.Sum256([]byte(token))
	}
	// A copy on the stack: a conversion would be a heap allocation.
	var buf [maxToken]byte
	return sha256.Sum256(buf[:copy(buf[:], token)])
}

// Ours reports whether the token is one of a data key that was made here: it
// has the prefix, the length and the checksum. Nothing is looked up.
func Ours(token string) bool { return wellFormed(token, dataPrefix) }

// OursAdmin is [Ours] for admin tokens.
func OursAdmin(token string) bool { return wellFormed(token, adminPrefix) }

// claimsOurs reports whether a token begins as ours do.
func claimsOurs(token string) bool {
	return strings.HasPrefix(token, dataPrefix) || strings.HasPrefix(token, adminPrefix)
}

// mistyped reports whether a token begins as ours do and is none of them: a
// slip of the fingers, or a preset token that looks like it.
func mistyped(token string) bool {
	return claimsOurs(token) && !Ours(token) && !OursAdmin(token)
}

func wellFormed(token, prefix string) bool {
	if !strings.HasPrefix(token, prefix) || len(token) != len(prefix)+randomLen+sumLen {
		return false
	}
	at := len(token) - sumLen
	for i := len(prefix); i < at; i++ {
		if !inBase62[token[i]] {
			return false
		}
	}
	sum := checksum(token[:at])
	return token[at:] == string(sum[:])
}
