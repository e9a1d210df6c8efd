package tokens

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestCPU(t *testing.T) {
	long := chat(strings.Repeat("The quick brown fox jumps over the lazy dog, \"x\": 12.5;\n", 3600))
	cpu := func() int64 {
		var r syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &r)
		return r.Utime.Nano()
	}
	for _, n := range []int{8 << 10, 16 << 10, 200 << 10} {
		best := int64(1 << 60)
		for range 30 {
			a := cpu()
			for range 100 {
				Estimate(long[:n], Claude5)
			}
			best = min(best, (cpu()-a)/100)
		}
		fmt.Println(n, best, "ns cpu")
	}
	var p pairs
	best := int64(1 << 60)
	for range 30 {
		a := cpu()
		for range 100 {
			p.text(long[:16<<10])
		}
		best = min(best, (cpu()-a)/100)
	}
	fmt.Println("pairs 16K", best)
}
