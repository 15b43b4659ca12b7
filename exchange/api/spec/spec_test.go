package spec

import (
	"os/exec"
	"strings"
	"testing"

	"vendue/exchange"
	"vendue/exchange/api/skin"
)

// Every reason that a seller can hear is explained, and none that it cannot.
func TestEveryReasonIsExplained(t *testing.T) {
	for r := exchange.ReasonNone; r < exchange.ReasonCount; r++ {
		_, ofLead := reasons[r]
		_, ofRequest := faults[r]
		told := r > exchange.ReasonNone && r < exchange.ReasonFiltered
		if told != (ofLead || ofRequest) || (ofLead && ofRequest) {
			t.Errorf("%s: explained as a lead's %t, as a request's %t", r, ofLead, ofRequest)
		}
	}
}

// What a config calls its fields and values reaches the shell as it is, and never as a command.
func TestWordsSurviveTheShell(t *testing.T) {
	for _, text := range []string{"plain", "it's", `$HOME "x" \`, "a`id`b", "end'", "''", "100% {x}\nnew line"} {
		out, err := exec.Command("sh", "-c", "printf %s "+word(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q became %q: %v", text, out, err)
		}
	}
	out, err := exec.Command("sh", "-c", `KEY='a b$c'; printf %s `+pair("Key", skin.HoleKey)+"; printf %s "+word("<"+skin.HoleKey+">")).Output()
	if err != nil || string(out) != "Key=a b$c<a b$c>" {
		t.Errorf("the key became %q: %v", out, err)
	}
}

func hostile() *Source {
	v := &exchange.Vertical{ID: "auto", Slots: map[string]int{"zip": 0, "make": 1, "count": 2}, Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
		{Name: "make", Kind: exchange.FieldEnum, Ping: exchange.NeedRequired, Values: []string{`<script>alert('1')</script>|x`}},
		{Name: "count", Kind: exchange.FieldDecimal, Post: exchange.NeedOptional, HasMin: true, Min: 50_500_000},
	}}
	c := &exchange.Campaign{ID: "c", Seller: &exchange.Seller{ID: "s", Name: "S & <b>Sons</b>"}, Vertical: v}
	in := skin.NewIntake(skin.Config{Format: skin.LeadConduit, Campaign: "c", Seller: "s", ID: "a/b $(id)"}, v)
	return &Source{Campaign: c, Currency: "USD", URL: "https://x.example", Skins: []*skin.Intake{in}, Config: "0123456789abcdef"}
}

// Names and values of the config are text on the page, whatever they look like.
func TestHostileWordsStayText(t *testing.T) {
	var page, plain strings.Builder
	r := NewRenderer()
	if err := r.Write(&page, HTML, hostile()); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(&plain, Markdown, hostile()); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "<b>Sons"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if !strings.Contains(plain.String(), `curl -s "https://x.example/flows/a%2Fb%20%24%28id%29/sources/$KEY/submit"`) {
		t.Error("a path is not escaped")
	}
	if !strings.Contains(page.String(), "at least 50.50") || !strings.Contains(plain.String(), `\|x`) {
		t.Error("a bound or a table's cell is not as it should be")
	}
}
