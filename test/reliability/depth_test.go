package reliability_test

import (
	"bufio"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDepth: the goroutine of a stream that waits for its next event is at most
// 4,200 bytes deep, of which net/http and the system's packages are 2,600. What
// it is deeper by costs open streams twice as large a stack (TestStreams).
func TestDepth(t *testing.T) {
	needsProc(t)
	if runtime.GOARCH != "amd64" || underRace {
		t.Skip("the depth is known for amd64, without -race")
	}
	_, yaml := source(t, func(a *asked) {
		a.begin()
		<-a.r.Context().Done()
	})
	p := launch(t, yaml, "GOTRACEBACK=system")
	for _, v := range voices {
		for _, to := range voices {
			resp, err := p.request(t.Context(), clients(t), v, "p-"+string(to.dialect)+"/m", true)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if err := heard(bufio.NewReader(resp.Body), "a.0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the end of the gateway", func() bool {
		return strings.Contains(p.log.String(), "rflags") || strings.Contains(p.log.String(), "r31 ")
	})
	frame := regexp.MustCompile(`fp=0x([0-9a-f]+) sp=0x([0-9a-f]+)`)
	waiting, deepest := 0, int64(0)
	for _, g := range strings.Split(p.log.String(), "\n\ngoroutine ") {
		if !strings.Contains(g, "relay.(*copier).run(") {
			continue
		}
		low, high := int64(1<<62), int64(0)
		for _, m := range frame.FindAllStringSubmatch(g, -1) {
			fp, err := strconv.ParseInt(m[1], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			sp, err := strconv.ParseInt(m[2], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			low, high = min(low, sp), max(high, fp)
		}
		waiting, deepest = waiting+1, max(deepest, high-low)
		if high-low > 4200 {
			t.Errorf("%d bytes deep:\n%s", high-low, g)
		}
	}
	if waiting < len(voices) {
		t.Errorf("%d streams wait", waiting)
	}
	t.Logf("%d streams, at most %d bytes deep", waiting, deepest)
}
