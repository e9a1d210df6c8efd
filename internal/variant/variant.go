// Package variant knows which version of a thing a conversation gets: the arm of
// an experiment, picked by a hash that is the same for all of its requests.
package variant

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Kind says what an arm is given to. It is never a single request.
type Kind string

// The kinds of unit.
const (
	// Session: a conversation.
	Session Kind = "session"
	// User: the client's own user, as the request names it; a request that names
	// none takes no part.
	User Kind = "user"
	// Key: the virtual key.
	Key Kind = "key"
)

// Experiment is what an operator wants to know; immutable.
type Experiment struct {
	Name string
	// Run tells one definition under the name from another.
	Run int64
	// On is the name that clients ask for: a route, or a model.
	On   string
	Unit Kind
	// Arms are at least two; the first one is the control.
	Arms []Arm
	// Start and Stop bound it in time; zero is no bound.
	Start, Stop time.Time
	// Shadow says whether requests are copied to another arm; nil for none.
	Shadow *Shadow
}

// Arm is one version.
type Arm struct {
	Name string
	// Weight is its part of the units beside the others'.
	Weight float64
	// Model is written provider/model, or the name of a route; empty leaves it to
	// the name asked for.
	Model string
	// Thinking is how hard it thinks (off, low, medium, high, max); empty leaves
	// it to the request.
	Thinking string
	// Set are members of the request, whatever the client said of them.
	Set []Setting
}

// Setting is a member of a request by our name of it, such as "temperature", and
// its value as JSON.
type Setting struct{ Name, Value string }

// Shadow says which requests are copied to another arm once the client has its
// answer.
type Shadow struct {
	// Share is the share of the requests that can be copied.
	Share float64
	// Budget is what all copies together may cost.
	Budget llm.Nanodollars
}

// Shares are the planned shares of the arms, adding up to 1.
func (e *Experiment) Shares() []float64 {
	shares, sum := make([]float64, len(e.Arms)), 0.0
	for i := range e.Arms {
		sum += e.Arms[i].Weight
	}
	for i := range e.Arms {
		shares[i] = e.Arms[i].Weight / sum
	}
	return shares
}

// Foretold reports whether what is foretold of a request hangs on no arm.
func (e *Experiment) Foretold() bool {
	for i := range e.Arms {
		if e.Arms[i].Model != "" {
			return false
		}
	}
	return true
}

// At is the place of an arm by its name, or -1.
func (e *Experiment) At(arm string) int {
	for i := range e.Arms {
		if e.Arms[i].Name == arm {
			return i
		}
	}
	return -1
}

// Hash is the unit of an experiment that an owner's session, user or key is. It
// tells nothing of them.
func (e *Experiment) Hash(owner, value string) int64 {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Name, string(e.Unit), owner, value}, "\x00")))
	return int64(binary.BigEndian.Uint64(sum[:]) >> 1)
}

// Pick gives the arm of a unit under shares: the one with the greatest of some
// draws that hang on unit and arm alone, weighted by the shares (weighted
// rendezvous hashing). When shares change a unit moves only to an arm whose share
// has grown.
func (e *Experiment) Pick(unit int64, shares []float64) int {
	best, arm := math.Inf(-1), 0
	for i := range e.Arms {
		if shares[i] <= 0 {
			continue
		}
		u := (float64(mix(uint64(unit)^name(e.Arms[i].Name))>>11) + 0.5) / (1 << 53)
		if score := shares[i] / -math.Log(u); score > best {
			best, arm = score, i
		}
	}
	return arm
}

// name hashes the name of an arm (FNV-1a).
func name(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
