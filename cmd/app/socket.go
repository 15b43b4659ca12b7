package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// socketName is the command socket's name in the data directory.
const socketName = "vendue.sock"

// socketPathMax is what the system takes as a unix socket's path.
const socketPathMax = 104

// socketPath returns a path by which dir's socket can be bound or reached. A
// long one goes through an open descriptor of the directory, which done closes.
func socketPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, socketName)
	if len(path) <= socketPathMax {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName), func() { _ = d.Close() }, nil
}

// listen opens the daemon's real listeners.
func listen(network, addr string) (net.Listener, error) {
	if network == "unix" {
		return listenSocket(filepath.Dir(addr))
	}
	return net.Listen(network, addr)
}

// listenSocket opens the command socket. The store's lock makes sure that nobody else serves this directory.
func listenSocket(dir string) (net.Listener, error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the command socket: %w", err)
	}
	defer done()
	_ = os.Remove(path)
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the command socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("cannot close the command socket to others: %w", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // the path may be a borrowed one
	return ln, nil
}

// SocketClient returns a client that reaches the daemon serving dir. The host in its URLs is ignored.
func SocketClient(dir string) *http.Client {
	// A command asks once or twice: a connection kept for later would only hold one of the daemon's few places.
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, done, err := socketPath(dir)
			if err != nil {
				return nil, err
			}
			defer done()
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
		},
	}}
}
