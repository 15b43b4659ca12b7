package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"hash/fnv"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"sync/atomic"
)

// authority signs the certificates of simulated buyers. One is made before any
// bubble, for keys cost real time.
type authority struct {
	roots *x509.CertPool
	good  tls.Certificate
	bad   tls.Certificate // signed by nobody whom the exchange trusts
}

func newAuthority() (*authority, error) {
	a := &authority{roots: x509.NewCertPool()}
	for i, out := range []*tls.Certificate{&a.good, &a.bad} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		made := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "simulated buyer"},
			NotBefore: bubbleBegan, NotAfter: bubbleBegan.AddDate(100, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		for b := range buyersMax {
			made.IPAddresses = append(made.IPAddresses, net.IPv4(10, 1, 0, byte(b)))
		}
		der, err := x509.CreateCertificate(rand.Reader, made, made, &key.PublicKey, key)
		if err != nil {
			return nil, err
		}
		*out = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	leaf, err := x509.ParseCertificate(a.good.Certificate[0])
	if err != nil {
		return nil, err
	}
	a.roots.AddCert(leaf)
	return a, nil
}

// gate is what a connection meets at a buyer behind TLS.
type gate int

const (
	gateOpen     gate = iota
	gateShut          // closed before a byte
	gateStalled       // the greeting is read and never answered
	gateForged        // a certificate that nobody vouches for
	gateSlammed       // closed right after the handshake
	gateTorn          // the handshake's answer breaks off
	gateRenewing      // the server forgot its session keys: what was kept ready to resume is not taken
	gateKinds
)

var gateNames = [gateKinds]string{
	"TLS handshake", "TLS closed before the handshake", "TLS stalled in the handshake", "TLS with a forged certificate",
	"TLS closed after the handshake", "TLS torn in the handshake", "TLS session not resumed",
}

// guard puts TLS before a buyer's connections. Each draws its gate from the
// seed, the address and its number.
type guard struct {
	net   *network
	seed  uint64
	fresh *tls.Config // whose session keys are its own
	kept  *tls.Config
	bad   *tls.Config
	count atomic.Uint64
}

func (n *network) guard(address string, a *authority) *guard {
	h := fnv.New64a()
	_, _ = h.Write([]byte(address)) // never fails
	return &guard{
		net: n, seed: n.seed ^ h.Sum64(),
		kept:  &tls.Config{Certificates: []tls.Certificate{a.good}, MinVersion: tls.VersionTLS12},
		fresh: &tls.Config{Certificates: []tls.Certificate{a.good}, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true},
		bad:   &tls.Config{Certificates: []tls.Certificate{a.bad}, MinVersion: tls.VersionTLS12},
	}
}

// admit wraps an accepted connection.
func (g *guard) admit(c net.Conn) net.Conn {
	r := mathrand.New(mathrand.NewPCG(g.seed, g.count.Add(1)))
	kind := gateOpen
	if r.Float64() < g.net.weather.Load().gates {
		kind = gate(1 + r.IntN(int(gateKinds)-1))
	}
	g.net.tally.add(gateNames[kind], 1)
	cfg := g.kept
	switch kind {
	case gateShut:
		_ = c.Close()
	case gateForged:
		cfg = g.bad
	case gateRenewing:
		cfg = g.fresh
	}
	return &guarded{Conn: tls.Server(&threshold{Conn: c, kind: kind, left: 1 + r.IntN(900)}, cfg), kind: kind}
}

// threshold is the wire under a handshake.
type threshold struct {
	net.Conn
	kind gate
	left int // bytes that may still be written, of a torn one
}

var errTorn = errors.New("the handshake was torn")

// Write lets through what the gate does.
func (t *threshold) Write(p []byte) (int, error) {
	switch {
	case t.kind == gateStalled:
		return len(p), nil
	case t.kind == gateTorn && len(p) >= t.left:
		_, _ = t.Conn.Write(p[:t.left]) // the fault below is the point
		_ = t.Close()
		return 0, errTorn
	case t.kind == gateTorn:
		t.left -= len(p)
	}
	return t.Conn.Write(p)
}

// guarded is a buyer's connection behind TLS.
type guarded struct {
	*tls.Conn
	kind gate
}

// Read shakes hands first.
func (c *guarded) Read(p []byte) (int, error) {
	if err := c.Handshake(); err != nil {
		_ = c.Close() // as servers do
		return 0, err
	}
	if c.kind == gateSlammed {
		_ = c.Close()
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}
