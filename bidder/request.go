package bidder

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// endpoint is one place that requests go to, with their head written out.
type endpoint struct {
	host *host
	head []byte // request line and headers up to and with "Content-Length: "

	spoken *spoken // of a described format
}

// ownHeaders are written by the client itself; a config that sets one would
// break the framing or the promise behind it.
var ownHeaders = [...]string{
	"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect",
	"idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature", "accept-encoding",
}

// newEndpoint compiles a URL and its headers. Every fault is returned.
func newEndpoint(t *Transport, text string, headers []Header, contentType string) (*endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("url: expected an absolute http or https URL") // the parser's own error repeats the URL, and with it any key in it
	}
	key, err := keyOf(u)
	if err != nil {
		return nil, err
	}
	head := append([]byte("POST "), u.RequestURI()...)
	head = append(append(head, " HTTP/1.1\r\nHost: "...), u.Host...)
	head = append(head, "\r\n"...)
	head, err = appendHeaders(head, headers, []Header{{"User-Agent", "vendue"}, {"Accept", contentType}, {"Content-Type", contentType}})
	if err != nil {
		return nil, err
	}
	return &endpoint{host: t.host(key), head: append(head, "Content-Length: "...)}, nil
}

// appendHeaders appends header lines: a config's own, then those of ours that it does not give.
func appendHeaders(dst []byte, headers, defaults []Header) ([]byte, error) {
	var faults []error
	given := make(map[string]bool, len(headers))
	for _, h := range headers {
		if err := checkHeader(h); err != nil {
			faults = append(faults, err)
			continue
		}
		given[strings.ToLower(h.Name)] = true
		dst = append(dst, h.Name+": "+h.Value+"\r\n"...)
	}
	for _, h := range defaults {
		if !given[strings.ToLower(h.Name)] {
			dst = append(dst, h.Name+": "+h.Value+"\r\n"...)
		}
	}
	return dst, errors.Join(faults...)
}

func keyOf(u *url.URL) (hostKey, error) {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return hostKey{}, errors.New("url: expected http or https")
	case u.Hostname() == "":
		return hostKey{}, errors.New("url: expected a host")
	case u.User != nil:
		return hostKey{}, errors.New("url: expected no user and password; put credentials in a header")
	case u.Fragment != "":
		return hostKey{}, errors.New("url: expected no fragment")
	}
	for _, c := range []byte(u.Host) {
		if c <= ' ' || c >= 0x7f {
			return hostKey{}, errors.New("url: expected a host in ASCII")
		}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	name := strings.ToLower(u.Hostname())
	return hostKey{secure: u.Scheme == "https", name: name, addr: net.JoinHostPort(name, port)}, nil
}

func checkHeader(h Header) error {
	if h.Name == "" {
		return errors.New("header: expected a name")
	}
	for _, c := range []byte(h.Name) {
		if !tokenByte(c) {
			return fmt.Errorf("header %q: expected a name of letters, digits and dashes", h.Name)
		}
	}
	for _, own := range ownHeaders {
		if strings.EqualFold(h.Name, own) {
			return fmt.Errorf("header %q: set by the exchange itself", h.Name)
		}
	}
	for _, c := range []byte(h.Value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("header %q: expected a value without control characters", h.Name)
		}
	}
	return nil
}

// appendRequest appends the whole request. extra is header lines of this request alone.
func (e *endpoint) appendRequest(dst, extra, body []byte) []byte {
	dst = append(dst, e.head...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, extra...)
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

// appendSignature appends the three headers of Standard Webhooks 1.0.0.
func appendSignature(dst, secret, id, body []byte, at time.Time) []byte {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write(id) // a hash never fails
	mac.Write([]byte("." + seconds + "."))
	mac.Write(body)
	dst = append(append(dst, "webhook-id: "...), id...)
	dst = append(dst, "\r\nwebhook-timestamp: "+seconds+"\r\nwebhook-signature: v1,"...)
	dst = base64.StdEncoding.AppendEncode(dst, mac.Sum(nil))
	return append(dst, "\r\n"...)
}
