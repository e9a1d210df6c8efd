//go:build unix

package direct

import "syscall"

// checks says that idle connections can be looked into.
const checks = true

// silent says whether a connection is open and nothing has come: its end, or a
// byte that nobody asked for, is the end of its use.
func silent(fd uintptr) bool {
	var one [1]byte
	for {
		_, err := syscall.Read(int(fd), one[:])
		if err != syscall.EINTR {
			return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		}
	}
}
