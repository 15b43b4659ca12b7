package spec

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"vendue/exchange"
	"vendue/exchange/api/skin"
)

//go:embed page.html page.md
var files embed.FS

// Source is what a page is made from.
type Source struct {
	Campaign *exchange.Campaign
	Currency string
	URL      string // of the public listener, without a slash at its end
	Skins    []*skin.Intake
	Config   string // the config's hash
}

// Format is how a page is written.
type Format uint8

// The formats.
const (
	Markdown Format = iota
	HTML
)

// Renderer writes pages. It is immutable.
type Renderer struct {
	md   *texttemplate.Template
	html *htmltemplate.Template
}

// NewRenderer returns a Renderer.
func NewRenderer() *Renderer {
	funcs := map[string]any{"cell": cell}
	return &Renderer{
		md:   texttemplate.Must(texttemplate.New("page.md").Funcs(funcs).ParseFS(files, "page.md")),
		html: htmltemplate.Must(htmltemplate.New("page.html").Funcs(funcs).ParseFS(files, "page.html")),
	}
}

// cell is text as it may stand in a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "`", "'").Replace(text)
}

// Write writes the page of a campaign.
func (r *Renderer) Write(w io.Writer, format Format, src *Source) error {
	p := newPage(src)
	var err error
	if format == HTML {
		err = r.html.Execute(w, p)
	} else {
		err = r.md.Execute(w, p)
	}
	if err != nil {
		return fmt.Errorf("cannot write the posting instructions of %q: %w", src.Campaign.ID, err)
	}
	return nil
}

// row is something and what is said of it.
type row struct{ Name, Text string }

type fieldRow struct {
	Name, Type, Ping, Post, Allowed, Example string
	Personal                                 bool
}

type reasonRow struct{ Word, Meaning, Todo string }

type faultRow struct{ Status, Word, Meaning, Todo string }

// example is commands that run as they are, and what they are answered with.
type example struct {
	ID, Title, Note, Script string
	Answers                 []row
}

type skinPart struct {
	ID, Title   string
	Paths       []string
	Ways, Words []row
	Spells      []row // our field, their name
	Example     example
	NoTest      bool
}

// page is what the templates show.
type page struct {
	Campaign, Seller, Vertical, Currency, URL, Config string

	Glance    []row
	URLs      []row
	Fields    []fieldRow
	Duplicate string
	Consent   bool
	Beside    []besideRow
	Examples  []example
	Skins     []skinPart
	Reasons   []reasonRow
	Faults    []faultRow
	Zips      []row
	HasZip    bool
}

func newPage(src *Source) *page {
	c := src.Campaign
	p := &page{
		Campaign: string(c.ID), Seller: c.Seller.Name, Vertical: string(c.Vertical.ID), Currency: src.Currency, URL: src.URL,
		Config: src.Config[:min(12, len(src.Config))], Consent: c.ConsentRequired, Beside: beside(c.ConsentRequired), Duplicate: duplicateText(c.Vertical),
		Reasons: leadReasons(), Faults: requestFaults(), Zips: zips(),
	}
	if p.Seller == "" {
		p.Seller = string(c.Seller.ID)
	}
	p.Glance = glance(src)
	p.URLs = []row{
		{"Ping", "POST " + src.URL + "/v1/ping"}, {"Post", "POST " + src.URL + "/v1/post"},
		{"Direct post", "POST " + src.URL + "/v1/direct"}, {"What became of a lead", "GET " + src.URL + "/v1/leads/LEAD_ID"},
	}
	for i := range c.Vertical.Fields {
		f := &c.Vertical.Fields[i]
		p.Fields = append(p.Fields, fieldRow{
			Name: f.Name, Type: f.Kind.String(), Ping: need(f.Ping), Post: postNeed(f), Allowed: allowed(f), Example: Value(f), Personal: f.Personal,
		})
		p.HasZip = p.HasZip || (f.Kind == exchange.FieldZip && f.Ping != exchange.NeedNot)
	}
	p.Examples = nativeExamples(src)
	for _, in := range src.Skins {
		p.Skins = append(p.Skins, skinOf(src, in))
	}
	return p
}

func glance(src *Source) []row {
	c := src.Campaign
	rows := []row{
		{"Authorization", "Authorization: Bearer YOUR_KEY, or X-Api-Key: YOUR_KEY"},
		{"Bodies", "JSON or a form; UTF-8"},
		{"A ping is answered within", spell(c.Window) + ", or max_wait_ms if you ask for less"},
		{"A post is answered within", spell(c.PostWait) + "; what is still open then is pending"},
		{"A price stands for", spell(c.QuoteTTL) + " at most; expires_in says it"},
	}
	if c.Floor > 0 {
		rows = append(rows, row{"No price is below", c.Floor.String() + " " + src.Currency})
	}
	rate := func(n int, what string) {
		if n > 0 {
			rows = append(rows, row{what + " per second", strconv.Itoa(n)})
		}
	}
	rate(c.PingsPerSecond, "Pings")
	rate(c.PostsPerSecond, "Posts")
	if c.ConsentRequired {
		rows = append(rows, row{"Consent", "required: a lead without it is refused with consent_missing"})
	}
	return rows
}

// spell writes a duration as people do.
func spell(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return count(int64(d/(24*time.Hour)), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return count(int64(d/time.Hour), "hour")
	case d >= time.Minute && d%time.Minute == 0:
		return count(int64(d/time.Minute), "minute")
	case d >= time.Second && d%time.Second == 0:
		return count(int64(d/time.Second), "second")
	default:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
}

func count(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.FormatInt(n, 10) + " " + what
}

func need(n exchange.Need) string {
	return [...]string{"-", "optional", "required"}[n]
}

// postNeed says what the post must have. What the ping had need not come again.
func postNeed(f *exchange.Field) string {
	if f.Ping != exchange.NeedNot {
		return "from the ping"
	}
	return need(f.Post)
}

var kindTexts = map[exchange.FieldKind]string{
	exchange.FieldText:    "text",
	exchange.FieldZip:     "US zip code of 5 digits, or ZIP+4",
	exchange.FieldState:   "US state, two letters or its name",
	exchange.FieldPhone:   "phone number with area code, or with + and the country code",
	exchange.FieldEmail:   "email address",
	exchange.FieldInt:     "whole number",
	exchange.FieldDecimal: "decimal number, at most 6 places",
	exchange.FieldBool:    "yes or no, true or false, 1 or 0",
	exchange.FieldDate:    "YYYY-MM-DD, MM/DD/YYYY or YYYYMMDD",
	exchange.FieldURL:     "http or https URL",
	exchange.FieldIP:      "IPv4 or IPv6 address",
	exchange.FieldCity:    "name of a city",
	exchange.FieldRegion:  "name of a region, such as a county or province",
}

func allowed(f *exchange.Field) string {
	if f.Kind == exchange.FieldEnum {
		return strings.Join(f.Values, ", ")
	}
	text := kindTexts[f.Kind]
	low, high := bound(f, f.Min), bound(f, f.Max)
	switch {
	case f.Kind == exchange.FieldText && f.HasMax:
		return text + ", at most " + high + " characters"
	case f.HasMin && f.HasMax:
		return text + ", " + low + " to " + high
	case f.HasMin:
		return text + ", at least " + low
	case f.HasMax:
		return text + ", at most " + high
	}
	return text
}

// bound writes a bound as the field's values are written.
func bound(f *exchange.Field, n int64) string {
	switch f.Kind {
	case exchange.FieldDecimal:
		return exchange.Money(n).String()
	case exchange.FieldDate:
		return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
	default:
		return strconv.FormatInt(n, 10)
	}
}

func duplicateText(v *exchange.Vertical) string {
	d := &v.Duplicate
	if len(d.Fields) == 0 {
		return "There is no rule against duplicates."
	}
	var names []string
	for _, slot := range d.Fields {
		names = append(names, v.Fields[slot].Name)
	}
	text := "A lead with the " + strings.Join(names, " and ") + " of one that was sold within the last " + spell(time.Duration(d.Within)*time.Second) + " is refused as a duplicate"
	if d.Scope == exchange.ScopeBuyer {
		return text + " by the buyer who has it; others may still take it."
	}
	return text + "."
}

// zips are what a test lead's zip forces.
func zips() []row {
	return []row{
		{"00001", "sold"}, {"00002", "ping rejected: no_bid"}, {"00003", "post rejected: post_rejected"},
		{"00004", "rejected by the first buyer, sold to the second"}, {"00005", "pending: unknown"},
		{"00006", "post rejected: duplicate"}, {"00007", "ping rejected: timeout, after the whole window"},
	}
}

func skinOf(src *Source, in *skin.Intake) skinPart {
	part := skinPart{ID: in.Format.String(), Title: in.Format.Title(), Ways: rows(in.Ways()), Words: rows(in.Format.Words())}
	for _, path := range in.Paths() {
		part.Paths = append(part.Paths, src.URL+strings.ReplaceAll(path, skin.HoleKey, "YOUR_KEY"))
	}
	for i := range src.Campaign.Vertical.Fields {
		name := src.Campaign.Vertical.Fields[i].Name
		part.Spells = append(part.Spells, row{name, in.Spells(name)})
	}
	steps := in.Steps(src.Campaign.Vertical, Value)
	part.NoTest = len(steps) == 0
	part.Example = example{ID: "example-" + part.ID, Title: part.Title, Script: script(src.URL, steps)}
	for i := range steps {
		part.Example.Answers = append(part.Example.Answers, row{steps[i].Name, steps[i].Answer})
	}
	return part
}

func rows(pairs [][2]string) []row {
	var out []row
	for _, p := range pairs {
		out = append(out, row{p[0], p[1]})
	}
	return out
}

// Value is a value that a field takes, for examples. A zip is the one that in a test ends in a sale.
func Value(f *exchange.Field) string {
	switch f.Kind {
	case exchange.FieldZip:
		return "00001"
	case exchange.FieldState:
		return "AZ"
	case exchange.FieldPhone:
		return "602-555-0143"
	case exchange.FieldEmail:
		return "maria@example.com"
	case exchange.FieldInt, exchange.FieldDecimal, exchange.FieldDate:
		return bound(f, within(f))
	case exchange.FieldBool:
		return "true"
	case exchange.FieldEnum:
		return f.Values[0]
	case exchange.FieldURL:
		return "https://example.com/page"
	case exchange.FieldIP:
		return "203.0.113.7"
	case exchange.FieldRegion:
		return "MARICOPA"
	default:
		text := []rune(textValue(f.Name))
		if f.HasMax && int64(len(text)) > f.Max {
			text = text[:f.Max]
		}
		return string(text)
	}
}

func textValue(name string) string {
	switch {
	case strings.Contains(name, "first"):
		return "Maria"
	case strings.Contains(name, "last"):
		return "Gonzalez"
	case strings.Contains(name, "city"):
		return "Phoenix"
	case strings.Contains(name, "address"):
		return "12 Main Street"
	default:
		return "example"
	}
}

// within returns a number inside a field's bounds, near what is usual.
func within(f *exchange.Field) int64 {
	n := int64(41)
	switch f.Kind {
	case exchange.FieldDecimal:
		n *= int64(exchange.Micro)
	case exchange.FieldDate:
		n = 5644 // 1985-06-15
	}
	if f.HasMin {
		n = max(n, f.Min)
	}
	if f.HasMax {
		n = min(n, f.Max)
	}
	return n
}
