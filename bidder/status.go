package bidder

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"vendue/exchange"
)

// StatusURL is where a buyer tells what became of a post: a URL with places for
// {lead_id}, {bid_id} and {token} in its path or query. It is immutable.
type StatusURL struct {
	base  *url.URL // scheme and host
	parts []string // of the request's target: text and, at odd places, a placeholder's name
}

// statusNames are the placeholders of a status URL.
var statusNames = []string{"lead_id", "bid_id", "token"}

// ParseStatusURL reads a status URL. Its errors say what was expected and repeat nothing of the text.
func ParseStatusURL(text string) (*StatusURL, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, errors.New("expected an absolute http or https URL")
	}
	authority, target := rest, ""
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		authority, target = rest[:at], rest[at:]
	}
	base, err := url.Parse(scheme + "://" + authority)
	if err != nil || strings.ContainsAny(authority, "{}") {
		return nil, errors.New("expected an absolute http or https URL, with placeholders in its path or query only")
	}
	if _, err := keyOf(base); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	s := &StatusURL{base: base}
	if s.parts, err = cutPlaceholders(target); err != nil {
		return nil, err
	}
	if !s.Uses("lead_id") && !s.Uses("bid_id") && !s.Uses("token") {
		return nil, errors.New("expected {lead_id}, {bid_id} or {token}: else every lead has one answer")
	}
	return s, nil
}

// cutPlaceholders splits a target into text and placeholders' names in turn.
func cutPlaceholders(target string) (parts []string, err error) {
	for {
		text, rest, found := strings.Cut(target, "{")
		for _, c := range []byte(text) {
			if c <= ' ' || c >= 0x7f || c == '}' || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\' {
				return nil, errors.New("expected a path and query of printable ASCII, percent-encoded, without a # part")
			}
		}
		parts = append(parts, text)
		if !found {
			return parts, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !slices.Contains(statusNames, name) {
			return nil, errors.New("expected the placeholders {lead_id}, {bid_id} and {token} only")
		}
		parts, target = append(parts, name), after
	}
}

// Uses tells whether the URL has a place for the named value.
func (s *StatusURL) Uses(name string) bool {
	for i := 1; i < len(s.parts); i += 2 {
		if s.parts[i] == name {
			return true
		}
	}
	return false
}

// appendTarget appends the path and query for one question. Values are percent-encoded.
func (s *StatusURL) appendTarget(dst []byte, q *exchange.Inquiry) []byte {
	for i, part := range s.parts {
		switch {
		case i%2 == 0:
			dst = append(dst, part...)
		case part == "lead_id":
			dst = q.LeadID.Append(dst)
		case part == "bid_id":
			dst = exchange.AppendBidID(dst, q.PingID, q.Leg)
		default:
			dst = appendEscaped(dst, q.Token)
		}
	}
	return dst
}

func appendEscaped(dst []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// inquiry is a contract's status URL, compiled.
type inquiry struct {
	host *host
	end  *endpoint // of a described format, instead of what follows
	url  *StatusURL
	tail []byte // of the request, from behind the target to its end
}

func newInquiry(t *Transport, text string, headers []Header, accept string) (*inquiry, error) {
	u, err := ParseStatusURL(text)
	if err != nil {
		return nil, err
	}
	key, err := keyOf(u.base)
	if err != nil {
		return nil, err
	}
	tail, err := appendHeaders([]byte(" HTTP/1.1\r\nHost: "+u.base.Host+"\r\n"), headers, []Header{{"User-Agent", "vendue"}, {"Accept", accept}})
	if err != nil {
		return nil, err
	}
	return &inquiry{host: t.host(key), url: u, tail: append(tail, "\r\n"...)}, nil
}

// Status asks a buyer once, by q.Deadline, what became of a post. Nothing of
// the lead but its ids leaves. Whatever is not a readable verdict is none: ask again.
func (b *Bidder) Status(q *exchange.Inquiry) exchange.Finding {
	c := b.contract(q.Contract)
	in := c.status[side(q.Test)]
	if in == nil {
		return exchange.Finding{Detail: "the contract has no status URL"}
	}
	start := b.t.now()
	f := in.ask(c, q, start)
	c.ms.statusSeconds.Update(b.t.now().Sub(start).Seconds())
	switch {
	case !f.Known:
		c.ms.statuses[0].Inc()
	case f.Accepted:
		c.ms.statuses[1].Inc()
	default:
		c.ms.statuses[2].Inc()
	}
	return f
}

func (in *inquiry) request(q *exchange.Inquiry, now time.Time) []byte {
	if in.end != nil {
		return in.appendSpoken(nil, q, now)
	}
	return append(in.url.appendTarget([]byte("GET "), q), in.tail...)
}

// ask sends the question on one connection. A kept one that turns out closed
// costs this turn and no more: the next look-up is never far.
func (in *inquiry) ask(c *contract, q *exchange.Inquiry, now time.Time) exchange.Finding {
	if in.end != nil && !in.end.ready(now) {
		return exchange.Finding{Detail: errNotReady.Error()}
	}
	request := in.request(q, now)
	conn := in.host.take(now)
	if conn == nil {
		var err error
		if conn, err = in.host.fresh(q.Deadline); err != nil {
			return exchange.Finding{Detail: err.Error()}
		}
	}
	if n, err := conn.wire.write(request, q.Deadline); err != nil || n != len(request) {
		in.host.discard(conn)
		return exchange.Finding{Detail: errWriteFailed.Error()}
	}
	if err := conn.wait(q.Deadline); err != nil {
		in.host.discard(conn)
		if isBlocked(err) {
			return exchange.Finding{Detail: "no answer in time"}
		}
		return exchange.Finding{Detail: err.Error()}
	}
	reply := conn.reply()
	f := c.adapter.ReadStatus(&reply)
	in.host.release(conn, in.host.t.now())
	return f
}
