package daemon

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// ownerOf is the number of the user who owns a file, nobody where that is not known.
func ownerOf(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return nobody
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return nobody
}

// peerUID asks the kernel who is at the other end of a unix socket.
func peerUID(conn net.Conn) (int, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nobody, errors.New("it is not a unix socket")
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return nobody, err
	}
	var who *syscall.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		who, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return nobody, err
	}
	if asked != nil {
		return nobody, asked
	}
	return int(who.Uid), nil
}
