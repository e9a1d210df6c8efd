// Package proc reads from the operating system what processes cost: CPU time
// and memory of a process with all its descendants (Linux, /proc).
package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ, which Linux fixes
// at 100 for every architecture that Go runs on (proc(5)).
const tick = 10 * time.Millisecond

// CPU gives the user and system time that pid and its descendants have spent,
// those that have ended and been waited for included, in steps of 10 ms.
func CPU(pid int) (time.Duration, error) {
	var sum time.Duration
	for _, p := range tree(pid) {
		f, err := stat(p)
		if err != nil {
			if p == pid {
				return 0, err
			}
			continue // a child that ended meanwhile: its parent has its time now
		}
		fields := []int{11, 12} // utime, stime
		if p == pid {
			fields = append(fields, 13, 14) // cutime, cstime
		}
		for _, i := range fields {
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/%d/stat: %w", p, err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// RSS gives the resident memory of pid and its descendants in bytes.
func RSS(pid int) (int64, error) {
	var sum int64
	for _, p := range tree(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p))
		if err != nil {
			if p == pid {
				return 0, err
			}
			continue
		}
		f := strings.Fields(string(b))
		pages, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/statm: %w", p, err)
		}
		sum += pages * int64(os.Getpagesize())
	}
	return sum, nil
}

// tree lists pid and its descendants.
func tree(pid int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{pid}
	}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if f, err := stat(p); err == nil {
			if parent, err := strconv.Atoi(f[1]); err == nil {
				children[parent] = append(children[parent], p)
			}
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// stat gives the fields of /proc/PID/stat after the command name, which may
// itself hold spaces and brackets: field 0 is the state, 1 the parent.
func stat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 15 {
		return nil, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	return f, nil
}
