package ledger

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// ID names a request: the time it was minted in Unix milliseconds, shifted
// left by 20 bits, plus 20 bits that tell requests of one millisecond apart.
// IDs are positive and rise with time, so rows keyed by them are appended to
// a table, not strewn over it. The zero ID is no request.
type ID int64

const idBits = 20

// IDs mints IDs. The zero value is ready; it is safe for concurrent use and
// gives each ID once, in rising order. Another process may mint the same ID in
// the same millisecond once in about a million times.
type IDs struct{ last atomic.Int64 }

// New mints an ID. A clock that runs backwards, or more than a million a
// second, borrow from the time to come.
func (m *IDs) New(now time.Time) ID {
	want := now.UnixMilli()<<idBits | int64(rand.Uint32()>>(32-idBits))
	for {
		last := m.last.Load()
		if next := max(want, last+1); m.last.CompareAndSwap(last, next) {
			return ID(next)
		}
	}
}

// FirstID is the smallest ID that a time can have, for ranges.
func FirstID(at time.Time) ID {
	if ms := at.UnixMilli(); ms > 0 {
		return ID(ms << idBits)
	}
	return 0
}

// Time is when the ID was minted, to the millisecond.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id) >> idBits).UTC() }

// Texts of IDs sort as the IDs do: base 32 with digits before letters.
var idText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

const (
	idPrefix = "req_"
	idDigits = 13
)

// String gives the form that clients see: "req_" and 13 characters of 0-9 and
// a-v.
func (id ID) String() string {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(id))
	return idPrefix + idText.EncodeToString(raw[:])
}

// ParseID reads what String writes, and nothing else.
func ParseID(s string) (ID, error) {
	digits, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(digits) != idDigits {
		return 0, fmt.Errorf("a request id is %q and %d characters", idPrefix, idDigits)
	}
	var raw [8]byte
	n, err := idText.Decode(raw[:], []byte(digits))
	if err != nil || n != len(raw) {
		return 0, fmt.Errorf("a request id has only the characters 0-9 and a-v after %q", idPrefix)
	}
	id := ID(binary.BigEndian.Uint64(raw[:]))
	if id <= 0 || id.String() != s {
		return 0, fmt.Errorf("%q is no request id", s)
	}
	return id, nil
}

// MarshalText gives String, so that JSON and YAML show what clients see.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	v, err := ParseID(string(text))
	if err == nil {
		*id = v
	}
	return err
}

// IDRange gives the IDs whose texts begin with a text, which may be short of its
// prefix; not ok when none can.
func IDRange(text string) (first, last ID, ok bool) {
	digits, has := strings.CutPrefix(text, idPrefix)
	if !has {
		if strings.HasPrefix(idPrefix, text) {
			return 0, 1<<63 - 1, true
		}
		return 0, 0, false
	}
	if len(digits) > idDigits {
		return 0, 0, false
	}
	ends := [2]int64{}
	for i, fill := range []string{"0", "v"} {
		padded := digits + strings.Repeat(fill, idDigits-len(digits))
		var n uint64
		for j := range len(padded) {
			at := strings.IndexByte("0123456789abcdefghijklmnopqrstuv", padded[j])
			if at < 0 {
				return 0, 0, false
			}
			if j == idDigits-1 { // 65 bits are written: the last one is padding
				n = n<<4 | uint64(at>>1)
				break
			}
			n = n<<5 | uint64(at)
		}
		if n > 1<<63-1 {
			if i == 0 {
				return 0, 0, false
			}
			n = 1<<63 - 1
		}
		ends[i] = int64(n)
	}
	return ID(ends[0]), ID(ends[1]), true
}
