package span

import "sync"

// scanners keeps the room for the names of open objects between scans. The
// benchmark that paid for it: BenchmarkMembers/agent, where a fresh scanner
// each time costs five allocations and 4 KB.
var scanners = sync.Pool{New: func() any { return &scanner{names: make([]seen, 0, 64)} }}

// release gives the scanner back without the body that it has read.
func (s *scanner) release() {
	s.b = nil
	if cap(s.names) > 16*maxNames {
		return // one deep body must not stay in memory
	}
	s.names = s.names[:0]
	scanners.Put(s)
}
