package batch

// State is where an item is on its way.
//
// A new item is queued until a path is chosen for it. On the way of a
// provider's batch it is coalescing until enough others wait with it or the
// window is over, submitted once the intent to post it is written down, running
// once the provider has said which batch it is in, and ended when that batch is
// over and its result is not merged yet. In real time it goes straight to a
// call. Whatever fails for a reason that may pass is retrying, and goes on in
// real time or by another batch. It leaves by one of four doors, once:
// succeeded, failed, canceled or expired.
type State string

// The states.
const (
	Queued     State = "queued"
	Coalescing State = "coalescing"
	Submitted  State = "submitted"
	Running    State = "running"
	Ended      State = "ended"
	Retrying   State = "retrying"
	RealTime   State = "realtime"
	Succeeded  State = "succeeded"
	Failed     State = "failed"
	Canceled   State = "canceled"
	Expired    State = "expired"
)

// next is the whole table: what may follow each state. A state with no
// followers is final. Canceled and expired may follow any state that is not.
var next = []struct {
	from State
	to   []State
}{
	{Queued, []State{Coalescing, RealTime, Failed, Canceled, Expired}},
	{Coalescing, []State{Submitted, RealTime, Failed, Canceled, Expired}},
	// Submitted goes back to coalescing when a batch that was refused whole is split.
	{Submitted, []State{Running, Coalescing, Retrying, RealTime, Failed, Canceled, Expired}},
	{Running, []State{Ended, Retrying, RealTime, Succeeded, Failed, Canceled, Expired}},
	{Ended, []State{Retrying, RealTime, Succeeded, Failed, Canceled, Expired}},
	{Retrying, []State{Coalescing, RealTime, Failed, Canceled, Expired}},
	{RealTime, []State{Retrying, Succeeded, Failed, Canceled, Expired}},
	{Succeeded, nil},
	{Failed, nil},
	{Canceled, nil},
	{Expired, nil},
}

// States lists every state, in the order of the table.
func States() []State {
	all := make([]State, len(next))
	for i := range next {
		all[i] = next[i].from
	}
	return all
}

// Final says that an item in this state is answered.
func (s State) Final() bool { return s == Succeeded || s == Failed || s == Canceled || s == Expired }

// May says whether to may follow s.
func (s State) May(to State) bool {
	for i := range next {
		if next[i].from != s {
			continue
		}
		for _, t := range next[i].to {
			if t == to {
				return true
			}
		}
	}
	return false
}

// Counts is how many items are in each state.
type Counts map[State]int64

// Total is the sum; Left is how many are not final.
func (c Counts) Total() (n int64) {
	for _, v := range c {
		n += v
	}
	return n
}

// Left is how many items have no answer yet.
func (c Counts) Left() (n int64) {
	for s, v := range c {
		if !s.Final() {
			n += v
		}
	}
	return n
}
