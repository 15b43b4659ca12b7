package configs

import (
	"net/url"
	"strings"

	"vendue/bidder"
)

const headersMax = 32

// endpoint reads where one phase of a contract goes.
func (l *loader) endpoint(t table) bidder.Endpoint {
	return bidder.Endpoint{URL: l.url(t.need("url")), TestURL: l.url(t.opt("test_url")), Headers: l.headers(t.opt("headers"))}
}

// headers reads the static headers of one endpoint.
func (l *loader) headers(headers *node) (out []bidder.Header) {
	if headers == nil || !l.expect(headers, shapeTable) {
		return nil
	}
	if len(headers.entries) > headersMax {
		l.fault(headers.pos, "expected at most %d headers", headersMax)
	}
	seen := map[string]bool{}
	for _, e := range headers.entries {
		e.value.secret = true // many a header is a credential
		value, ok := l.text(e.value)
		if !ok {
			continue
		}
		lower := strings.ToLower(e.key)
		switch {
		case !token(e.key):
			l.fault(e.pos, "header %q: expected a name of letters, digits and -", e.key)
		case ours(lower):
			l.fault(e.pos, "header %q is set by the house itself", e.key)
		case seen[lower]:
			l.fault(e.pos, "header %q stands twice; the case of letters does not count", e.key)
		case !headerValue(value):
			l.fault(e.value.pos, "expected a header value of printable ASCII")
		}
		seen[lower] = true
		out = append(out, bidder.Header{Name: e.key, Value: value})
	}
	return out
}

// ours tells whether a header of that lower-case name frames or signs the request.
func ours(name string) bool {
	switch name {
	case "host", "content-length", "content-type", "connection", "transfer-encoding", "te", "trailer", "upgrade",
		"expect", "accept-encoding", "idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature":
		return true
	}
	return false
}

func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

func headerValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 4096
}

// url returns an absolute http or https URL.
func (l *loader) url(n *node) string {
	s, ok := l.text(n)
	if !ok {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || len(s) > 4096:
		l.fault(n.pos, "expected an absolute http or https URL")
	case u.User != nil:
		l.fault(n.pos, "expected a URL without user and password; use headers")
	case u.Fragment != "":
		l.fault(n.pos, "expected a URL without a # part")
	}
	return s
}
