package postback

// Preview is what an attempt would send, with a word in the place of each secret.
type Preview struct {
	Method string
	URL    string
	Type   string // of the body; none of a GET
	Body   string
	Signed bool // a POST with Standard Webhooks' headers
}

// Preview renders the plan as an attempt at seconds (Unix time, in decimal)
// would send it. A fault is Render's.
func (p *Plan) Preview(values *Values, seconds string) (Preview, error) {
	kept, err := p.Render(values)
	if err != nil {
		return Preview{}, err
	}
	q, _ := requestOf(kept, p, seconds, true)
	out := Preview{Method: "GET", URL: string(q.url)}
	if p.Post {
		out.Method, out.Type, out.Body, out.Signed = "POST", q.contentType(), string(q.body), p.Secret != nil
	}
	return out, nil
}

// Macros returns the macros that the plan asks for, each once, in their own order.
func (p *Plan) Macros() (all []Macro) {
	var asked [macroCount]bool
	mark := func(parts []part) {
		for i := range parts {
			asked[parts[i].macro] = true
		}
	}
	mark(p.template.parts)
	for i := range p.body {
		mark(p.body[i].parts)
	}
	for m := MacroAffClickID; m < macroCount; m++ {
		if asked[m] {
			all = append(all, m)
		}
	}
	return all
}

func (q *request) contentType() string {
	if q.form {
		return "application/x-www-form-urlencoded"
	}
	return "application/json"
}
