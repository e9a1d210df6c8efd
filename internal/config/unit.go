package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Duration is a length of time, written as Go writes it: 500ms, 10s, 1h30m. 0
// needs no unit; negative ones are refused.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	v, err := time.ParseDuration(s)
	if err != nil {
		if _, nan := strconv.ParseFloat(s, 64); nan == nil {
			return fmt.Errorf("the duration %s has no unit: write %ss, %sms or %sm", s, s, s, s)
		}
		return fmt.Errorf("%q is not a duration such as 500ms, 10s or 1h30m", s)
	}
	if v < 0 {
		return fmt.Errorf("the duration %s is negative", s)
	}
	*d = Duration(v)
	return nil
}

// String writes the duration without trailing zero units: 10m, not 10m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Std returns the time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// ByteSize is a number of bytes, written 32MB, 512KB, 1GB or as a plain
// number. KB, MB and GB are powers of 1024, as are KiB, MiB and GiB.
type ByteSize int64

// The sizes that have a unit.
const (
	KB ByteSize = 1 << 10
	MB ByteSize = 1 << 20
	GB ByteSize = 1 << 30
)

// byteUnits are tried in order, so that "KB" is not read as "B".
var byteUnits = []struct {
	suffix string
	size   ByteSize
}{{"KIB", KB}, {"MIB", MB}, {"GIB", GB}, {"KB", KB}, {"MB", MB}, {"GB", GB}, {"B", 1}, {"", 1}}

// UnmarshalText reads a size.
func (b *ByteSize) UnmarshalText(text []byte) error {
	s := string(text)
	number, unit := s, ByteSize(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(strings.ToUpper(s), u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	whole, frac, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	bad := fmt.Errorf("%q is not a size such as 512KB, 32MB or 1GB", s)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && n > uint64(math.MaxInt64)/uint64(unit):
		return fmt.Errorf("the size %s is too large", s)
	case err != nil:
		return bad
	}
	v := int64(n) * int64(unit)
	if strings.Contains(number, ".") {
		f, err := strconv.ParseUint(frac, 10, 32)
		if err != nil || len(frac) > 9 {
			return bad
		}
		extra := float64(f) / math.Pow10(len(frac)) * float64(unit)
		if extra != math.Trunc(extra) || v > math.MaxInt64-int64(extra) {
			return fmt.Errorf("the size %s is not a whole number of bytes", s)
		}
		v += int64(extra)
	}
	*b = ByteSize(v)
	return nil
}

// String writes the size with the largest unit that divides it.
func (b ByteSize) String() string {
	switch {
	case b == 0:
		return "0"
	case b%GB == 0:
		return strconv.FormatInt(int64(b/GB), 10) + "GB"
	case b%MB == 0:
		return strconv.FormatInt(int64(b/MB), 10) + "MB"
	case b%KB == 0:
		return strconv.FormatInt(int64(b/KB), 10) + "KB"
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText writes what UnmarshalText reads.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// USD is a price per million tokens, held exactly as nanodollars per million
// tokens: $1.25 is 1,250,000,000. It is written as a plain decimal number of
// dollars with up to nine places.
type USD llm.Nanodollars

// UnmarshalText reads a price.
func (u *USD) UnmarshalText(text []byte) error {
	s := string(text)
	whole, frac, dotted := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || dotted && frac == "" {
		return fmt.Errorf("%q is not a price: write US dollars per million tokens, such as 1.25", s)
	}
	if n > 1_000_000 {
		return fmt.Errorf("the price %s is over a million dollars per million tokens", s)
	}
	if len(frac) > 9 {
		return fmt.Errorf("the price %s has more than nine places", s)
	}
	v := int64(n) * 1e9
	if frac != "" {
		f, err := strconv.ParseUint(frac+strings.Repeat("0", 9-len(frac)), 10, 63)
		if err != nil {
			return fmt.Errorf("%q is not a price: write US dollars per million tokens, such as 1.25", s)
		}
		v += int64(f)
	}
	*u = USD(v)
	return nil
}

// String writes the price in dollars without trailing zeros.
func (u USD) String() string {
	s := strconv.FormatInt(int64(u)/1e9, 10)
	if f := int64(u) % 1e9; f != 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%09d", f), "0")
	}
	return s
}

// Float is the price in dollars, for parts that reckon in floating point.
func (u USD) Float() float64 { return float64(u) / 1e9 }

// MarshalText writes what UnmarshalText reads.
func (u USD) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Money is a sum of US dollars, held exactly in nanodollars and written as a
// plain decimal number of dollars with up to nine places; a dollar sign may stand
// before it.
type Money llm.Nanodollars

// UnmarshalText reads a sum of up to a billion dollars.
func (m *Money) UnmarshalText(text []byte) error {
	whole, frac, dotted := strings.Cut(strings.TrimPrefix(string(text), "$"), ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || dotted && frac == "" || len(frac) > 9 {
		return fmt.Errorf("%q is not a sum: write US dollars, such as 25 or 0.50", text)
	}
	if n >= 1e9 {
		return fmt.Errorf("the sum %s is not under a billion dollars", text)
	}
	f, err := strconv.ParseUint(frac+strings.Repeat("0", 9-len(frac)), 10, 63)
	if err != nil {
		return fmt.Errorf("%q is not a sum: write US dollars, such as 25 or 0.50", text)
	}
	*m = Money(int64(n)*1e9 + int64(f))
	return nil
}

// String writes the sum in dollars without trailing zeros.
func (m Money) String() string { return USD(m).String() }

// MarshalText writes what UnmarshalText reads.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }
