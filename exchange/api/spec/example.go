package spec

import (
	"bytes"
	"encoding/json"
	"strings"

	"vendue/exchange"
	"vendue/exchange/api/skin"
	"vendue/exchange/schema"
)

// script is the steps as shell commands. They need YOUR key in $KEY, curl and sed, and nothing else.
func script(base string, steps []skin.Step) string {
	var b strings.Builder
	for i := range steps {
		s := &steps[i]
		if s.Take != "" {
			b.WriteString("ANSWER=$(")
		}
		b.WriteString("curl -s " + double(base+s.Path))
		for _, h := range headers(s) {
			b.WriteString(" \\\n  -H " + h)
		}
		for _, p := range s.Form {
			b.WriteString(" \\\n  --data-urlencode " + pair(p[0], p[1]))
		}
		if s.Form == nil {
			b.WriteString(" \\\n  -d " + word(indent(s.Body)))
		}
		if s.Take != "" {
			b.WriteString(")\necho \"$ANSWER\"\nID=$(echo \"$ANSWER\" | sed 's/.*\"" + s.Take + "\":\"\\([^\"]*\\)\".*/\\1/')\n")
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func headers(s *skin.Step) []string {
	var out []string
	if strings.HasPrefix(s.Path, "/v1/") {
		out = append(out, `"Authorization: Bearer $KEY"`)
	}
	switch s.Path {
	case "/v1/post":
		out = append(out, `"Idempotency-Key: $ID"`)
	case "/v1/direct":
		out = append(out, `"Idempotency-Key: lead-$(date +%s)"`)
	}
	if s.Form == nil {
		out = append(out, "'Content-Type: application/json'")
	}
	return out
}

// word quotes text for the shell; the holes are filled from $KEY and $ID.
func word(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	quoted = strings.ReplaceAll(quoted, skin.HoleKey, `'"$KEY"'`)
	return strings.ReplaceAll(quoted, skin.HoleID, `'"$ID"'`)
}

// pair quotes a name and its value, in the plainest way.
func pair(name, value string) string {
	switch value {
	case skin.HoleKey:
		return `"` + name + `=$KEY"`
	case skin.HoleID:
		return `"` + name + `=$ID"`
	default:
		return word(name + "=" + value)
	}
}

// double quotes a URL of our own making, in which only the key is a hole.
func double(url string) string {
	return `"` + strings.ReplaceAll(url, skin.HoleKey, "$KEY") + `"`
}

func indent(body string) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(body), "    ", "  "); err != nil {
		panic("BUG: an example is not JSON: " + err.Error())
	}
	return b.String()
}

// nativeExamples walk a test lead through the native API: in JSON, in a form, and at once.
func nativeExamples(src *Source) []example {
	v := src.Campaign.Vertical
	const idHole = `"` + skin.HoleID + `"`
	head := `{"campaign":` + quote(string(src.Campaign.ID)) + `,"test":true`
	consent := ""
	if src.Campaign.ConsentRequired {
		consent = `,"consent":{"captured_at":"2026-01-31T12:00:00Z","page_url":"https://example.com/page"}`
	}
	ping, whole := values(v, false), values(v, true)
	formHead := [][2]string{{"campaign", string(src.Campaign.ID)}, {"test", "true"}}
	if consent != "" {
		formHead = append(formHead, [2]string{"captured_at", "2026-01-31T12:00:00Z"}, [2]string{"page_url", "https://example.com/page"})
	}
	n := len(formHead)
	answers := []row{{"Ping", pingAnswer(src)}, {"Post", postAnswer(src)}}
	return []example{
		{ID: "json", Title: "Ping and post, JSON", Script: script(src.URL, []skin.Step{
			{Path: "/v1/ping", Body: head + consent + `,"lead":` + lead(ping) + "}", Take: "ping_id"},
			{Path: "/v1/post", Body: `{"ping_id":` + idHole + `,"lead":` + lead(whole) + "}"},
		}), Answers: answers},
		{ID: "form", Title: "Ping and post, form", Note: "The same, flat: fields of the lead, of source and of consent stand by their own names.", Script: script(src.URL, []skin.Step{
			{Path: "/v1/ping", Form: append(formHead[:n:n], flat(ping)...), Take: "ping_id"},
			{Path: "/v1/post", Form: append([][2]string{{"ping_id", skin.HoleID}}, flat(whole)...)},
		})},
		{ID: "direct", Title: "Direct post", Note: "Without a ping: the whole lead at once. The least price is the floor, or min_price if that is more.", Script: script(src.URL, []skin.Step{
			{Path: "/v1/direct", Body: head + consent + `,"lead":` + lead(whole) + "}"},
		})},
	}
}

// said is a field and its value.
type said struct {
	field *exchange.Field
	value string
}

// values are those of an example: of a ping, or of the whole lead.
func values(v *exchange.Vertical, whole bool) []said {
	var out []said
	for i := range v.Fields {
		if f := &v.Fields[i]; whole || f.Ping != exchange.NeedNot {
			out = append(out, said{f, Value(f)})
		}
	}
	return out
}

func lead(list []said) string {
	b := []byte{'{'}
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(schema.AppendString(b, s.field.Name), ':')
		if s.field.Kind.Bare() {
			b = append(b, s.value...)
		} else {
			b = schema.AppendString(b, s.value)
		}
	}
	return string(append(b, '}'))
}

func flat(list []said) [][2]string {
	var out [][2]string
	for _, s := range list {
		out = append(out, [2]string{s.field.Name, s.value})
	}
	return out
}

func quote(text string) string { return string(schema.AppendString(nil, text)) }

func pingAnswer(src *Source) string {
	return `{"status":"accepted","ping_id":"06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m","price":16.00,"currency":"` + src.Currency +
		`","expires_at":"2026-01-31T12:05:00.000Z","expires_in":300,"sale":"exclusive","bids":[{"bid_id":"06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m-1","price":16.00,"sale":"exclusive"}],"elapsed_ms":1,"environment":"test"}`
}

func postAnswer(src *Source) string {
	return `{"status":"sold","lead_id":"06gzvm0r4wq00g5b7t2s9k3xhc8n1pdf","price":16.00,"currency":"` + src.Currency +
		`","redirect_url":"https://test.example/thanks","final":true,"legs":[{"bid_id":"06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m-1","price":16.00,"status":"sold","redirect_url":"https://test.example/thanks"}],"elapsed_ms":2,"environment":"test"}`
}
