package batch

// State is where an item is on its way. The table below has every state and
// what may follow it.
type State string

// The states.
const (
	Queued     State = "queued"
	Coalescing State = "coalescing"
	Submitted  State = "submitted"
	Running    State = "running"
	Retrying   State = "retrying"
	RealTime   State = "realtime"
	Succeeded  State = "succeeded"
	Failed     State = "failed"
	Canceled   State = "canceled"
	Expired    State = "expired"
)

// Counts is how many items are in each state.
type Counts map[State]int64
