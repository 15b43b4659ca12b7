package dialect

import (
	"net/url"
	"strings"
	"time"

	"vendue/bidder/adapters"
	"vendue/exchange"
)

// phase is one compiled phase.
type phase struct {
	request Request
	body    body
	reader  reader
}

// Request is what an HTTP client must know of a phase besides its body.
type Request struct {
	Method      string
	ContentType string // empty: there is no body
	Accept      string
	URLs        [2]*URL // live and test
	Headers     []HeaderLine
}

// URL is where a phase goes. Its path and query may hold places.
type URL struct {
	Base   *url.URL // scheme and host
	places []place
	escape escape
	query  bool // the map is appended as a query
	first  byte // ? or &, before it
}

// HeaderLine is one header; its value may hold places.
type HeaderLine struct {
	Name  string
	value value
}

// Constant returns the header's value, and whether it is the same in every request.
func (h *HeaderLine) Constant() (string, bool) {
	if !h.value.constant() {
		return "", false
	}
	return string(h.value.append(nil, nil, escapeNone)), true
}

// Append appends the header's value.
func (h *HeaderLine) Append(dst []byte, s *Scene) []byte { return h.value.append(dst, s, escapeHeader) }

// Constant returns the target, and whether it is the same in every request.
func (u *URL) Constant() (string, bool) {
	v := value{places: u.places}
	if u.query || !v.constant() {
		return "", false
	}
	return string(v.append(nil, nil, escapeNone)), true
}

// AppendTarget appends the path and query of one request of the phase.
func (f *Format) AppendTarget(dst []byte, id PhaseID, u *URL, s *Scene) []byte {
	from := len(dst)
	for i := range u.places {
		p := &u.places[i]
		if p.kind == placeText {
			dst = append(dst, p.text...)
			continue
		}
		v := value{places: u.places[i : i+1]}
		dst = v.append(dst, s, escapeForm)
	}
	if len(dst) == from {
		dst = append(dst, '/')
	}
	if u.query {
		at := len(dst)
		dst = append(dst, u.first)
		if dst = f.phases[id].body.append(dst, s); len(dst) == at+1 {
			dst = dst[:at]
		}
	}
	return dst
}

// Request returns what the phase asks of an HTTP client, nil if the format has no such phase.
func (f *Format) Request(id PhaseID) *Request {
	if f.phases[id] == nil {
		return nil
	}
	return &f.phases[id].request
}

// AppendBody appends the body of one request.
func (f *Format) AppendBody(dst []byte, id PhaseID, s *Scene) []byte {
	if f.phases[id].request.ContentType == "" {
		return dst
	}
	return f.phases[id].body.append(dst, s)
}

// TellsTest tells whether a test can be told from a live request in a phase.
func (f *Format) TellsTest(id PhaseID) bool {
	return f.phases[id].request.URLs[0] != f.phases[id].request.URLs[1] || f.phases[id].uses(placeTest)
}

// UsesToken tells whether a phase's request holds a token of the ping's answer.
func (f *Format) UsesToken(id PhaseID) bool { return f.phases[id].uses(placeToken) }

// uses tells whether a place of this kind stands anywhere in the phase's request.
func (p *phase) uses(kind placeKind) bool {
	for i := range p.body.ops {
		if v := p.body.ops[i].val; v != nil && holds(v.places, kind) {
			return true
		}
	}
	for i := range p.request.Headers {
		if holds(p.request.Headers[i].value.places, kind) {
			return true
		}
	}
	return holds(p.request.URLs[0].places, kind) || holds(p.request.URLs[1].places, kind)
}

func holds(places []place, kind placeKind) bool {
	for i := range places {
		if places[i].kind == kind || holds(places[i].any, kind) {
			return true
		}
	}
	return false
}

// ContentType returns the media type of the post's body.
func (f *Format) ContentType() string {
	if p := f.phases[Post]; p != nil {
		return p.request.ContentType
	}
	return ""
}

// AppendShared appends nothing: a format is one contract's own.
func (f *Format) AppendShared(dst []byte, _ *exchange.Ask) []byte { return dst }

// AppendPing appends a ping's body.
func (f *Format) AppendPing(dst, _ []byte, p *adapters.Ping) []byte {
	s := PingScene(p)
	return f.AppendBody(dst, Ping, &s)
}

// AppendPost appends a post's body.
func (f *Format) AppendPost(dst []byte, d *exchange.Delivery, now time.Time) []byte {
	s := PostScene(d, now)
	return f.AppendBody(dst, Post, &s)
}

// compilePhase checks one phase and makes it ready.
func (c *compiler) compilePhase(p *Phase) *phase {
	out := &phase{}
	words := []string{"json", "form", "query", "xml", "text", "none"}
	enc := encodeNone
	switch p.Encode {
	case "json":
		enc, out.request.ContentType, out.request.Accept = encodeJSON, "application/json", "application/json"
	case "form", "query":
		enc = encodeForm
		if p.Encode == "form" {
			out.request.ContentType = "application/x-www-form-urlencoded"
		}
	case "xml":
		enc, out.request.ContentType, out.request.Accept = encodeXML, "text/xml; charset=utf-8", "text/xml, application/xml"
	case "text":
		enc, out.request.ContentType = encodeText, "text/plain; charset=utf-8"
	case "none", "":
	default:
		c.unknown(p.EncodeAt, p.Encode, words, "unknown encode %q", p.Encode)
	}
	switch {
	case p.Template.Text != "" && (enc == encodeJSON || enc == encodeXML || enc == encodeText):
		out.body = c.compileTemplate(p, enc)
	case p.Template.Text != "":
		c.fault(p.Template.At, "a template does not fit encode: %s; expected json, xml or text", p.Encode)
	case enc == encodeText:
		c.fault(p.EncodeAt, "encode: text needs a template")
	case enc != encodeNone:
		out.body = c.compileBody(p, enc)
	}
	if p.ContentType != "" && out.request.ContentType != "" {
		out.request.ContentType = p.ContentType
	}
	c.request(&out.request, p)
	out.reader = c.compileReply(&p.Reply)
	return out
}

func (c *compiler) request(r *Request, p *Phase) {
	switch p.Method {
	case "GET", "POST", "PUT":
		r.Method = p.Method
	case "":
		r.Method = "POST"
		if r.ContentType == "" {
			r.Method = "GET"
		}
	default:
		c.unknown(p.MethodAt, p.Method, []string{"GET", "POST", "PUT"}, "unknown method %q", p.Method)
	}
	if r.Method == "GET" && r.ContentType != "" {
		c.fault(p.MethodAt, "a GET has no body; expected encode: query or none")
	}
	if r.Accept == "" {
		r.Accept = "*/*"
	}
	r.URLs[0] = c.url(p.URL, p.Encode == "query")
	r.URLs[1] = r.URLs[0]
	if p.TestURL.Text != "" {
		r.URLs[1] = c.url(p.TestURL, p.Encode == "query")
	}
	for _, h := range p.Headers {
		k := c.inPhase(h.Value, "header")
		r.Headers = append(r.Headers, HeaderLine{Name: h.Name, value: value{places: k.places}})
	}
}

// url compiles a URL. Vars may stand anywhere in it, other places in the path and query alone.
func (c *compiler) url(t Text, query bool) *URL {
	u := &URL{escape: escapeForm, query: query, first: '?'}
	if t.Text == "" {
		c.fault(t.At, "key \"url\" is missing, and the format has none of its own")
		return u
	}
	k := c.inPhase(t, "url")
	if len(k.places) == 0 || k.places[0].kind != placeText {
		c.fault(t.At, "expected an absolute http or https URL")
		return u
	}
	if len(k.places) > 1 && strings.Count(k.places[0].text, "/") < 3 {
		c.fault(t.At, "expected {var.NAME} alone in a URL's host; other places in its path or query")
		return u
	}
	head := k.places[0].text
	scheme, rest, ok := strings.Cut(head, "://")
	at := strings.IndexAny(rest, "/?#")
	authority, target := rest, ""
	if at >= 0 {
		authority, target = rest[:at], rest[at:]
	}
	base, err := url.Parse(scheme + "://" + authority)
	switch {
	case !ok || err != nil || scheme != "http" && scheme != "https" || base.Hostname() == "":
		c.fault(t.At, "expected an absolute http or https URL")
	case base.User != nil:
		c.fault(t.At, "expected a URL without user and password; use auth or headers")
	}
	if strings.HasPrefix(target, "?") || target == "" {
		target = "/" + target
	}
	u.Base = base
	u.places = append([]place{{kind: placeText, text: target}}, k.places[1:]...)
	for i := range u.places {
		p := &u.places[i]
		if p.kind != placeText {
			continue
		}
		for _, b := range []byte(p.text) {
			if b <= ' ' || b >= 0x7f || strings.IndexByte(`#"<>\{}`, b) >= 0 {
				c.fault(t.At, "expected a path and query of printable ASCII, percent-encoded, without a # part")
				return u
			}
		}
		if strings.Contains(p.text, "?") {
			u.first = '&'
		}
	}
	return u
}
