package postback_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vendue/attribution/postback"
)

// local opens a server on loopback and returns its port, and how often it was asked.
func local(t *testing.T, handler http.HandlerFunc) (port string, asked *atomic.Int32) {
	asked = &atomic.Int32{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handler(w, r)
	}))
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, asked
}

// TestEgressCorpus asks for every spelling of an address that the house must
// not reach. A template refuses some; the others are refused when they are
// dialled. Nothing may arrive.
func TestEgressCorpus(t *testing.T) {
	port, asked := local(t, func(http.ResponseWriter, *http.Request) {})
	c := postback.NewClient(nil)
	defer c.Close()
	for _, host := range []string{
		"127.0.0.1", "127.0.0.53", "127.255.255.254", "0.0.0.0", "localhost", "LOCALHOST.", // loopback
		"10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", // private, carriers'
		"169.254.169.254", "169.254.170.2", "192.0.0.192", "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", // metadata, reserved
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", // mapped and compatible
		"[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", // NAT64
		"[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]", // 6to4, Teredo
		"[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[100::1]", // link, local, multicast, documentation
		"2130706433", "0x7f000001", "017700000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0x7f.0x0.0x0.0x1", "2852039166", "127.0.0.1.", // old spellings
	} {
		url := "http://" + host + ":" + port + "/"
		if _, err := postback.Parse(url); err != nil {
			continue // a fault of the config
		}
		if status, _, fault := c.Get(url); status != 0 || fault != "egress_refused" && fault != "dns" {
			t.Errorf("%s: status %d, fault %q", host, status, fault)
		}
	}
	for _, url := range []string{
		"http://127.0.0.1:" + port + "@t.example/", "http://t.example@127.0.0.1:" + port + "/", "http://t.example:80#@127.0.0.1:" + port + "/",
		"http://t.example\\@127.0.0.1:" + port + "/", "http://127.0.0.1:" + port + "\t/", "gopher://127.0.0.1:" + port + "/", "file:///etc/passwd",
		"http://127。0。0。1:" + port + "/", "http://①②⑦.0.0.1:" + port + "/", "http://%31%32%37.0.0.1:" + port + "/", "http:127.0.0.1:" + port,
		"http://[::1%25lo]:" + port + "/", "http://2130706433:" + port + "/", "http://127.1:" + port + "/", "http://0x7f.1:" + port + "/",
	} {
		if _, err := postback.Parse(url); err == nil {
			t.Errorf("%s is taken for a template", url)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestEgressAllowsWhatTheConfigNames(t *testing.T) {
	port, asked := local(t, func(http.ResponseWriter, *http.Request) {})
	c := postback.NewClient(nil, "127.0.0.0/30")
	defer c.Close()
	if status, _, fault := c.Get("http://127.0.0.1:" + port + "/"); status != 200 || fault != "" {
		t.Errorf("an allowed address: status %d, fault %q", status, fault)
	}
	for _, host := range []string{"127.0.0.9", "169.254.169.254", "[::1]"} {
		if status, _, fault := c.Get("http://" + host + ":" + port + "/"); status != 0 || fault != "egress_refused" {
			t.Errorf("%s: status %d, fault %q", host, status, fault)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	inner, asked := local(t, func(http.ResponseWriter, *http.Request) {})
	for _, status := range []int{301, 302, 303, 307, 308} {
		port, _ := local(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:"+inner+"/", status)
		})
		c := postback.NewClient(nil, "127.0.0.0/8")
		if got, _, fault := c.Get("http://127.0.0.1:" + port + "/"); got != status || fault != "" {
			t.Errorf("%d: status %d, fault %q", status, got, fault)
		}
		c.Close()
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// names is a name server whose one name changes its address.
type names struct {
	mu   sync.Mutex
	addr net.IP
	conn net.PacketConn
}

func newNames(t *testing.T, addr string) *names {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{addr: net.ParseIP(addr).To4(), conn: conn}
	done := make(chan struct{})
	go func() { defer close(done); n.serve() }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return n
}

func (n *names) rebind(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr = net.ParseIP(addr).To4()
}

// serve answers questions for an IPv4 address with the one that holds, and any other with nothing.
func (n *names) serve() {
	buf := make([]byte, 512)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		end := 12
		for end < size && buf[end] != 0 {
			end += int(buf[end]) + 1
		}
		end += 5
		if end > size {
			continue
		}
		out := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
		if binary.BigEndian.Uint16(buf[end-4:]) == 1 {
			out[7] = 1
			n.mu.Lock()
			out = append(append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), n.addr...)
			n.mu.Unlock()
		}
		_, _ = n.conn.WriteTo(out, from)
	}
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("udp4", n.conn.LocalAddr().String())
	}}
}

// TestRebindingGainsNothing has a name lead to an allowed address, and then to ones that are not.
func TestRebindingGainsNothing(t *testing.T) {
	port, asked := local(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	n := newNames(t, "127.0.0.1")
	c := postback.NewClient(n.resolver(), "127.0.0.1/32")
	defer c.Close()
	url := "http://tracker.test:" + port + "/"
	if status, _, fault := c.Get(url); status != 200 {
		t.Fatalf("status %d, fault %q", status, fault)
	}
	for _, addr := range []string{"127.0.0.2", "169.254.169.254", "10.0.0.1", "0.0.0.0"} {
		n.rebind(addr)
		c.LetGo()
		if status, _, fault := c.Get(url); status != 0 || fault != "egress_refused" {
			t.Errorf("rebound to %s: status %d, fault %q", addr, status, fault)
		}
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("%d requests arrived", got)
	}
}

// TestNoMoreThanTheFirst16KiBAreRead answers with a gigabyte, by length and in chunks.
func TestNoMoreThanTheFirst16KiBAreRead(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		var sent atomic.Int64
		port, _ := local(t, func(w http.ResponseWriter, _ *http.Request) {
			if !chunked {
				w.Header().Set("Content-Length", "1073741824")
			}
			block := strings.Repeat("x", 1<<16)
			for range 1 << 14 {
				n, err := io.WriteString(w, block)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		c := postback.NewClient(nil, "127.0.0.0/8")
		status, body, fault := c.Get("http://127.0.0.1:" + port + "/")
		c.Close()
		if status != 200 || len(body) != 16<<10 || fault != "" || sent.Load() > 64<<20 {
			t.Errorf("chunked %t: status %d, %d bytes of body, fault %q, %d bytes sent", chunked, status, len(body), fault, sent.Load())
		}
	}
}
