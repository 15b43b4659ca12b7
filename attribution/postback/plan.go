package postback

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vendue/exchange"
)

// Order is one postback as a config asks for it.
type Order struct {
	On      string // the event: lead.sold
	URL     string // template
	Preset  string // where URL and Verdict come from; for people
	Post    bool   // POST instead of GET
	Form    bool   // a POST's body is a form instead of JSON
	Body    []Field
	Secret  []byte            // signs, and stands for {secret}
	Secrets map[string][]byte // stand for {secret:NAME}
	Verdict Rules
}

// Field is one field of a POST's body. Value is a template.
type Field struct{ Name, Value string }

// bodyFieldsMax bounds a body.
const bodyFieldsMax = 64

// FieldError says which field of an order is wrong.
type FieldError struct {
	Field string // url, secret, body, verdict, or body.NAME
	Err   error
}

// Error returns the field and its fault.
func (e *FieldError) Error() string { return e.Field + ", " + e.Err.Error() }

// Unwrap returns the fault itself.
func (e *FieldError) Unwrap() error { return e.Err }

// Plan is an Order ready to be rendered. It is immutable and safe for concurrent use.
type Plan struct {
	Order
	Notice   Notice
	template *Template
	body     []bodyPart
	matcher  *matcher
}

type bodyPart struct {
	name  string // encoded for where it stands
	parts []part
}

// Compile reads an affiliate's order. A fault is a *FieldError.
func Compile(affiliate exchange.AffiliateID, o Order) (*Plan, error) {
	t, err := Parse(o.URL)
	if err != nil {
		return nil, &FieldError{"url", err}
	}
	p := &Plan{Order: o, template: t}
	if err := p.compileBody(); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.matcher, err = newMatcher(o.Verdict); err != nil {
		return nil, &FieldError{"verdict", err}
	}
	text := o.URL
	if o.Post {
		text = "POST " + text + fmt.Sprint(o.Form, len(o.Body), o.Body)
	}
	p.Notice = NoticeOf(affiliate, o.On, text)
	return p, nil
}

// Endpoint returns scheme, host and port.
func (p *Plan) Endpoint() string { return p.template.endpoint }

func (p *Plan) compileBody() error {
	if !p.Post {
		if len(p.Body) > 0 {
			return &FieldError{"body", errors.New("a GET has no body; expected method: POST")}
		}
		return nil
	}
	if len(p.Body) > bodyFieldsMax {
		return &FieldError{"body", fmt.Errorf("expected at most %d fields", bodyFieldsMax)}
	}
	fields := p.Body
	if len(fields) == 0 {
		fields = everything()
	}
	where := inJSON
	if p.Form {
		where = inForm
	}
	for _, f := range fields {
		parts, err := parseText(f.Value, where)
		if err != nil {
			return &FieldError{"body." + f.Name, err}
		}
		p.body = append(p.body, bodyPart{string(appendPlaced(nil, []byte(f.Name), where)), parts})
	}
	return nil
}

// everything is the body of a POST that asks for none of its own: each macro by its own name.
func everything() (all []Field) {
	for _, m := range Macros() {
		value := "{" + m.String() + "}"
		if m == MacroAffClickID {
			value = "{" + m.String() + "?}"
		}
		all = append(all, Field{m.String(), value})
	}
	return all
}

// check finds secrets that are not there, and words that an event has not.
func (p *Plan) check() error {
	for i := range p.template.parts {
		if err := p.checkPart(&p.template.parts[i]); err != nil {
			return &FieldError{"url", err}
		}
	}
	for _, f := range p.body {
		for i := range f.parts {
			if err := p.checkPart(&f.parts[i]); err != nil {
				return &FieldError{"body." + f.name, err}
			}
		}
	}
	return nil
}

func (p *Plan) checkPart(m *part) error {
	switch {
	case m.macro == MacroSecret && m.secret != "" && p.Secrets[m.secret] == nil:
		return errors.New("{secret:" + m.secret + "} names none of the secrets")
	case (m.macro == MacroSecret && m.secret == "" || m.macro == MacroSig) && p.Secret == nil:
		return errors.New("{" + m.macro.String() + "} needs a secret; expected secret: env:NAME or file:PATH")
	case m.macro == MacroSig && !p.has(MacroTS):
		return errors.New("{sig} without {ts} could be used again at any time; expected a parameter with {ts}")
	case m.macro == MacroEvent && m.words != nil && !mapped(m.words, p.On):
		return errors.New("{event:..} has no word for " + p.On)
	case m.macro == MacroStatus && m.words != nil && !mapped(m.words, StatusOf(p.On)):
		return errors.New("{status:..} has no word for " + StatusOf(p.On))
	default:
		return nil
	}
}

func (p *Plan) has(m Macro) bool {
	return slices.ContainsFunc(p.template.parts, func(q part) bool { return q.macro == m })
}

func mapped(words []string, value string) bool {
	for i := 0; i < len(words); i += 2 {
		if words[i] == value {
			return true
		}
	}
	return false
}

// Render puts the values in. The result is what a job keeps: secrets and what
// else an attempt makes anew stand in it as marks. A fault is a *ValueError,
// ErrDotSegment or ErrURLTooLong.
func (p *Plan) Render(values *Values) ([]byte, error) {
	out, err := p.template.AppendURL(nil, values)
	if err != nil || !p.Post {
		return out, err
	}
	if p.Form {
		out = append(out, "\nform\n"...)
	} else {
		out = append(out, "\njson\n{"...)
	}
	separator := ""
	for i := range p.body {
		f := &p.body[i]
		if len(f.parts) == 1 && f.parts[0].drop {
			if value, err := f.parts[0].value(values); err == nil && len(value) == 0 {
				continue
			}
		}
		if out, err = p.appendField(append(out, separator...), f, values); err != nil {
			return nil, err
		}
		if separator = ","; p.Form {
			separator = "&"
		}
	}
	if !p.Form {
		out = append(out, '}')
	}
	return out, nil
}

func (p *Plan) appendField(out []byte, f *bodyPart, values *Values) ([]byte, error) {
	if p.Form {
		return appendParts(append(append(out, f.name...), '='), f.parts, values)
	}
	out, err := appendParts(append(append(append(out, '"'), f.name...), `":"`...), f.parts, values)
	return append(out, '"'), err
}

// NotSentReason is why a notice cannot be sent: the fault of Render in one word.
func NotSentReason(err error) string {
	var value *ValueError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &value), errors.Is(err, ErrDotSegment), errors.Is(err, ErrURLTooLong):
		return err.Error()
	default:
		return "template"
	}
}

// request is one attempt's request: a GET, or with a body a POST.
type request struct {
	url    []byte
	body   []byte
	form   bool
	id     string // with a secret: the webhook-id
	secret []byte // signs by Standard Webhooks if set
}

// requestOf makes a request of what a job keeps. p gives the secrets, nil none;
// hidden puts a word in the place of each. ok is false if a secret is not there.
func requestOf(kept []byte, p *Plan, seconds string, hidden bool) (q request, ok bool) {
	url, rest, post := bytes.Cut(kept, []byte("\n"))
	fill := filler{plan: p, seconds: seconds, hidden: hidden}
	if post {
		kind, body, _ := bytes.Cut(rest, []byte("\n"))
		q.form = string(kind) == "form"
		where := inJSON
		if q.form {
			where = inForm
		}
		q.body = fill.fill(body, where)
	}
	q.url = fill.sign(fill.fill(url, inQuery))
	return q, !fill.missing
}

// mark stands around a late macro's name. No encoding leaves this byte in a value.
const mark = 0x01

func appendMark(dst []byte, p *part) []byte {
	dst = append(append(dst, mark), p.macro.String()...)
	if p.secret != "" {
		dst = append(append(dst, ':'), p.secret...)
	}
	return append(dst, mark)
}

// filler puts late macros in.
type filler struct {
	plan    *Plan
	seconds string
	hidden  bool
	missing bool
}

const sigMark = "\x01sig\x01"

func (f *filler) fill(text []byte, where place) []byte {
	if bytes.IndexByte(text, mark) < 0 {
		return text
	}
	var out []byte
	for i, piece := range bytes.Split(text, []byte{mark}) {
		if i%2 == 0 {
			out = append(out, piece...)
			continue
		}
		word, name, _ := strings.Cut(string(piece), ":")
		switch word {
		case "ts":
			out = append(out, f.seconds...)
		case "sig":
			out = append(out, sigMark...)
		default:
			out = appendPlaced(out, f.secret(name), where)
		}
	}
	return out
}

func (f *filler) secret(name string) []byte {
	if f.hidden {
		return []byte("-hidden-")
	}
	var s []byte
	if f.plan != nil {
		if s = f.plan.Secret; name != "" {
			s = f.plan.Secrets[name]
		}
	}
	f.missing = f.missing || s == nil
	return s
}

// sign puts {sig} in: the hexadecimal HMAC-SHA256, under the secret, of the
// query's parameters as they are sent, without the one that carries {sig},
// sorted by their bytes and joined by &.
func (f *filler) sign(url []byte) []byte {
	if !bytes.Contains(url, []byte(sigMark)) {
		return url
	}
	_, query, _ := bytes.Cut(url, []byte("?"))
	parameters := bytes.Split(query, []byte("&"))
	parameters = slices.DeleteFunc(parameters, func(q []byte) bool { return bytes.HasSuffix(q, []byte(sigMark)) })
	slices.SortFunc(parameters, bytes.Compare)
	sum := []byte("-hidden-")
	if !f.hidden {
		sum = signQuery(f.secret(""), bytes.Join(parameters, []byte("&")))
	}
	return bytes.ReplaceAll(url, []byte(sigMark), sum)
}
