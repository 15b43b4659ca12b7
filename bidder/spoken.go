package bidder

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"vendue/bidder/adapters/dialect"
	"vendue/exchange"
)

// spoken is what an endpoint of a described format adds to one of the native
// format: a target and headers that may depend on the lead. It is immutable.
type spoken struct {
	format   *dialect.Format
	phase    dialect.PhaseID
	url      *dialect.URL
	line     []byte // the request line up to the target; nil: the endpoint's head is whole
	headers  []dialect.HeaderLine
	bodyless bool // no Content-Length either
	method   string
	target   string     // if it is the same in every request, else /
	auth     authorizer // nil: nothing but headers
}

// newSpoken compiles one phase of a format; nil if the format lacks it. The
// second is the test endpoint.
func newSpoken(t *Transport, f *dialect.Format, id dialect.PhaseID) (ends [2]*endpoint, err error) {
	r := f.Request(id)
	if r == nil {
		return ends, nil
	}
	for i, u := range r.URLs {
		if ends[i], err = spokenEndpoint(t, f, id, u); err != nil {
			return ends, err
		}
	}
	return ends, nil
}

func spokenEndpoint(t *Transport, f *dialect.Format, id dialect.PhaseID, u *dialect.URL) (*endpoint, error) {
	r := f.Request(id)
	if u.Base == nil {
		return nil, errors.New("url: missing")
	}
	key, err := keyOf(u.Base)
	if err != nil {
		return nil, err
	}
	s := &spoken{format: f, phase: id, url: u, method: r.Method, target: "/", bodyless: r.ContentType == "" && r.Method == "GET"}
	head := []byte(r.Method + " ")
	if target, constant := u.Constant(); constant {
		head, s.target = append(head, target...), target
	} else {
		s.line, head = head, nil
	}
	head = append(append(head, " HTTP/1.1\r\nHost: "...), u.Base.Host...)
	head = append(head, "\r\n"...)
	var headers []Header
	for _, h := range r.Headers {
		text, constant := h.Constant()
		if constant {
			headers = append(headers, Header{h.Name, text})
			continue
		}
		if err := checkHeader(Header{Name: h.Name}); err != nil {
			return nil, err
		}
		s.headers = append(s.headers, h)
	}
	defaults := []Header{{"User-Agent", "vendue"}, {"Accept", r.Accept}}
	if r.ContentType != "" {
		defaults = append(defaults, Header{"Content-Type", r.ContentType})
	}
	if head, err = appendHeaders(head, headers, defaults); err != nil {
		return nil, err
	}
	if !s.bodyless {
		head = append(head, "Content-Length: "...)
	}
	return &endpoint{host: t.host(key), head: head, spoken: s}, nil
}

// appendSpoken appends the whole request. extra is header lines of this request alone.
func (e *endpoint) appendSpoken(dst []byte, scene *dialect.Scene, extra, body []byte) []byte {
	s := e.spoken
	target := s.target
	if s.line != nil {
		dst = append(dst, s.line...)
		from := len(dst)
		dst = s.format.AppendTarget(dst, s.phase, s.url, scene)
		if s.auth != nil {
			target = string(dst[from:])
		}
	}
	dst = append(dst, e.head...)
	if !s.bodyless {
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	for i := range s.headers {
		h := &s.headers[i]
		dst = append(append(dst, h.Name...), ": "...)
		dst = append(h.Append(dst, scene), "\r\n"...)
	}
	if s.auth != nil {
		dst = s.auth.append(dst, &signed{method: s.method, target: target, body: body, now: scene.Now})
	}
	dst = append(dst, extra...)
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

// ready tells whether a request can prove who sends it; a native one always can.
func (e *endpoint) ready(now time.Time) bool {
	return e.spoken == nil || e.spoken.auth == nil || e.spoken.auth.ready(now)
}

// answered hears of an answer's status. It tells whether the same request, made
// anew, could fare better at once: the buyer refused to look at it.
func (e *endpoint) answered(status int, head []byte) bool {
	return status == 401 && e.spoken != nil && e.spoken.auth != nil && e.spoken.auth.refused(head)
}

// compileSpoken compiles all phases of a described format.
func (c *contract) compileSpoken(from *Contract, t *Transport) error {
	var faults []error
	for id := range dialect.PhaseCount {
		ends, err := newSpoken(t, from.Dialect, id)
		if err != nil {
			faults = append(faults, fmt.Errorf("contract %s: %s: %w", from.Terms.ID, id, err))
			continue
		}
		for _, end := range ends {
			if end != nil && from.Auth != nil {
				end.spoken.auth = newAuthorizer(t, from.Auth, end)
			}
		}
		switch id {
		case dialect.Ping:
			c.ping = ends
		case dialect.Post:
			c.post = ends
		default:
			for i, end := range ends {
				if end != nil {
					c.status[i] = &inquiry{host: end.host, end: end}
				}
			}
		}
	}
	return errors.Join(faults...)
}

// appendSpoken appends the question for an outcome.
func (in *inquiry) appendSpoken(dst []byte, q *exchange.Inquiry, now time.Time) []byte {
	scene := dialect.StatusScene(q, now)
	s := in.end.spoken
	return in.end.appendSpoken(dst, &scene, nil, s.format.AppendBody(nil, s.phase, &scene))
}
