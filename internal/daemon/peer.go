package daemon

import (
	"fmt"
	"net"
	"net/http"
	"os/user"
	"strconv"
)

// peers hands out connections whose remote address is the user at the other end.
type peers struct{ net.Listener }

func (p peers) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	uid, err := peerUID(conn)
	if err != nil {
		uid = nobody // gets an answer, and that is a refusal
	}
	return peerConn{conn, peerAddress(uid)}, nil
}

// nobody is no user's number.
const nobody = -1

type peerConn struct {
	net.Conn
	from peerAddress
}

func (c peerConn) RemoteAddr() net.Addr { return c.from }

type peerAddress int

func (peerAddress) Network() string  { return "unix" }
func (a peerAddress) String() string { return strconv.Itoa(int(a)) }

// peerOf is the number of the user who sent a request.
func peerOf(r *http.Request) (int, error) {
	uid, err := strconv.Atoi(r.RemoteAddr)
	if err != nil || uid < 0 {
		return nobody, fmt.Errorf("it is not known who asks (%q)", r.RemoteAddr)
	}
	return uid, nil
}

// UserName names a user; where nobody has given the number a name, by it.
func UserName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(uid)
}
