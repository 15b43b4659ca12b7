//go:build linux

package buyers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"vendue/bench/load/wire"
)

// certLife is how long a bench's own certificate is good.
const certLife = 24 * time.Hour

// ServeTLS is Serve behind TLS, without a delay and without buyers that hang:
// a goroutine per connection, because the standard library's TLS needs one. It
// writes the certificate to trust to certFile first.
func ServeTLS(n int, certFile string, ready func(ports []int)) error {
	cert, err := newCert(certFile)
	if err != nil {
		return err
	}
	ports := make([]int, n)
	failed := make(chan error, n)
	for i := range n {
		ln, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		if err != nil {
			return fmt.Errorf("cannot listen on loopback: %w", err)
		}
		ports[i] = ln.Addr().(*net.TCPAddr).Port
		a := answersOf(i, n)
		go func() { failed <- accept(ln, a) }()
	}
	ready(ports)
	return <-failed
}

func accept(ln net.Listener, a answers) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("cannot accept a connection: %w", err)
		}
		wg.Go(func() { converse(c, a) })
	}
}

func converse(c net.Conn, a answers) {
	defer func() { _ = c.Close() }()
	in := make([]byte, requestMax)
	for n := 0; ; {
		got, err := c.Read(in[n:])
		if err != nil {
			return
		}
		n += got
		total, _, err := wire.Frame(in[:n])
		if err != nil || (total == 0 && n == len(in)) {
			return
		}
		if total == 0 {
			continue
		}
		out := a.accept
		if bytes.HasPrefix(in, pathPing) {
			out = a.bid
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		n = copy(in, in[total:n])
	}
}

func newCert(file string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vendue bench"}, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(certLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make a certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot write the certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
