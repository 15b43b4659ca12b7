package skin

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"vendue/exchange"
)

func testVertical() *exchange.Vertical {
	v := &exchange.Vertical{ID: "auto", Slots: map[string]int{}, Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
		{Name: "state", Kind: exchange.FieldState, Ping: exchange.NeedOptional},
		{Name: "credit", Kind: exchange.FieldEnum, Ping: exchange.NeedOptional, Values: []string{"good", "fair"}},
		{Name: "first_name", Kind: exchange.FieldText, Post: exchange.NeedRequired, Personal: true},
		{Name: "phone", Kind: exchange.FieldPhone, Post: exchange.NeedRequired, Personal: true},
	}}
	for i := range v.Fields {
		v.Slots[v.Fields[i].Name] = i
	}
	return v
}

func intakeOf(f Format) *Intake {
	return NewIntake(Config{
		Format: f, Campaign: "c", Seller: "s", Aliases: map[string]string{"Contact.Tel": "phone", "Rating": "credit", "Aff": "source.affiliate", "Order": "idempotency_key"},
		Values: map[string]map[string]string{"credit": {"700+": "good"}},
	}, testVertical())
}

// The native body that a foreign one stands for, in its parts' order.
func TestNative(t *testing.T) {
	const ping = "/apiJSON.php"
	for _, c := range []struct{ path, kind, body, want string }{
		{ping, "", "Mode=ping&ZIP-code=85001&Unheard=1", `{"campaign":"c","lead":{"zip":"85001"}}`},
		{ping, "application/json", `{"Mode":"ping","a":{"b":{"Zip":85001}},"Rating":"700+"}`, `{"campaign":"c","lead":{"zip":85001,"credit":"good"}}`},
		{ping, "", "Mode=ping&Zip_Code=1&zip=85001&postal_code=2", `{"campaign":"c","lead":{"zip":"85001"}}`},
		{ping, "", "Mode=full&Phone=1&Contact[Tel]=2&Tel=3", `{"campaign":"c","lead":{"phone":"2"}}`},
		{ping, "", "Mode=ping&Cost=5&Sub_ID=a&aff=b&Test_Lead=1", `{"campaign":"c","test":true,"min_price":"5","source":{"affiliate":"b","sub1":"a"},"lead":{}}`},
		{ping, "", "Mode=ping&Zip=99999&State=ak&Test_Lead=1", `{"campaign":"c","test":true,"lead":{"zip":"00001","state":"ak"}}`},
		{ping, "", "Mode=ping&Zip=99999&State=ak", `{"campaign":"c","lead":{"zip":"99999","state":"ak"}}`},
		{ping, "", "Mode=ping&Landing_Page=https://x.example/", `{"campaign":"c","lead":{}}`},
		{ping, "", "Mode=ping&Landing_Page=https://x.example/&TCPA_Consent=Yes", `{"campaign":"c","consent":{"page_url":"https://x.example/"},"lead":{}}`},
		{ping, "", "Mode=ping&TrustedForm=https://cert.trustedform.com/a&tcpa=No", `{"campaign":"c","lead":{}}`},
		{ping, "", "Mode=ping&TrustedForm=https://cert.trustedform.com/a&tcpa_text=x&universal_leadid=y",
			`{"campaign":"c","consent":{"text_sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","trustedform_cert_url":"https://cert.trustedform.com/a","jornaya_id":"y"},"lead":{}}`},
		{ping, "", "Mode=post&Lead_ID=x&FName=A&Cost=5", `{"ping_id":"x","lead":{"first_name":"A"}}`},
		{"/post", "", "lp_ping_id=x&bid_id=x-1,x-2&phone_home=1", `{"ping_id":"x","bid_ids":["x-1","x-2"],"lead":{"phone":"1"}}`},
		{ping, "text/xml", "<r><Mode>ping</Mode><l><Zip> 85001 </Zip><State><![CDATA[A&Z]]></State></l></r>", `{"campaign":"c","lead":{"zip":"85001","state":"A&Z"}}`},
		{ping, "application/json", `{"Mode":"ping","Zip":["85001"],"other":[1]}`, `{"campaign":"c","lead":{"zip":[]}}`},
	} {
		route, ok := Find(c.path)
		if !ok {
			t.Fatal(c.path)
		}
		r, fault := Read(route, &Input{ContentType: c.kind, Body: c.body})
		if fault != nil {
			t.Errorf("%s: %+v", c.body, fault)
			continue
		}
		n, fault := r.Native(intakeOf(route.Format))
		if fault != nil || n.Body != c.want {
			t.Errorf("%s\nis   %+v %+v\nwant %s", c.body, n, fault, c.want)
		}
	}
}

// A key is the same for the same request, and another for any other.
func TestIdempotencyKeys(t *testing.T) {
	key := func(path, body string) string {
		route, _ := Find(path)
		r, fault := Read(route, &Input{Body: body})
		if fault != nil {
			t.Fatal(fault)
		}
		n, fault := r.Native(intakeOf(route.Format))
		if fault != nil {
			t.Fatal(fault)
		}
		return n.Key
	}
	a := key("/direct_post", "zip=85001&phone=1")
	if a != key("/direct_post", "zip=85001&phone=1&tracker=2") || a == key("/direct_post", "zip=85002&phone=1") || a == key("/lead/", "zip=85001&phone=1") {
		t.Error("what a request says is its key, and nothing else")
	}
	if key("/direct_post", "order=7&zip=85001") != "leadprosper:7" || key("/ping", "order=7&zip=85001") != "" {
		t.Error("a seller's own id is the key of a post, and a ping has none")
	}
}

// Intakes are told apart by seller, id and source.
func TestFind(t *testing.T) {
	at := func(seller, id, source string) *Intake {
		return NewIntake(Config{Format: Boberdoo, Campaign: exchange.CampaignID(seller + id + source), Seller: exchange.SellerID(seller), ID: id, Source: source}, testVertical())
	}
	s := NewSet([]*Intake{at("a", "1", ""), at("a", "1", "X"), at("b", "1", "")})
	for query, want := range map[string]string{"a TYPE=1": "a1", "a TYPE=1&SRC=x": "a1X", "a TYPE=1&SRC=y": "a1", "b TYPE=1&SRC=X": "b1", "a TYPE=2": "", "c TYPE=1": ""} {
		seller, body, _ := strings.Cut(query, " ")
		r, _ := Read(Route{Format: Boberdoo}, &Input{Body: body + "&Mode=ping"})
		got := ""
		if in := s.Find(exchange.SellerID(seller), r); in != nil {
			got = string(in.Campaign)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

// FuzzRead: whatever comes, there is a request that can be told an answer that
// is well-formed, and a native body that is JSON.
func FuzzRead(f *testing.F) {
	paths := []string{"/new_api/api.php", "/apiJSON.php", "/ping.do", "/post.do", "/ping", "/direct_post", "/lead/", "/api/lead/ping", "/api/lead/directpost", "/flows/c/sources/k/submit"}
	for i := range paths {
		f.Add(uint8(i), "application/json", `{"Request":{"Mode":"ping","TYPE":"c","zip":85001,"a":{"b":[1]}}}`, "Mode=post")
		f.Add(uint8(i), "text/xml; charset=utf-8", `<a x="1"><Mode>full</Mode><Zip>85001&amp;</Zip></a>`, "")
		f.Add(uint8(i), "", "Mode=full&zip=%38&phone=602-555-0143&lp_ping_id=06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m", "leadId=1")
	}
	f.Fuzz(func(t *testing.T, which uint8, kind, body, query string) {
		route, _ := Find(paths[int(which)%len(paths)])
		r, fault := Read(route, &Input{ContentType: kind, Accept: kind, Body: body, Query: query})
		var a *Answer
		if fault == nil && r.Call != CallLook {
			var n *Native
			if n, fault = r.Native(intakeOf(route.Format)); fault == nil {
				if !json.Valid([]byte(n.Body)) {
					t.Fatalf("not JSON: %s", n.Body)
				}
				a = r.ReadAnswer(n, 422, []byte(`{"detail":"d","reason":"invalid_field","errors":[{"field":"lead.zip","error":"e"},{"field":"ping_id","error":"missing"}]}`))
			}
		}
		if fault != nil {
			a = r.FaultAnswer(422, "invalid_field", fault)
		}
		if a == nil {
			a = &Answer{Verdict: Sold, Status: 200, LeadID: "l", Price: "1.00"}
		}
		reply := r.Tell(a)
		if r.Style == JSON && !json.Valid(reply.Body) {
			t.Fatalf("not JSON: %s", reply.Body)
		}
		if r.Style == XML && !wellFormed(reply.Body) {
			t.Fatalf("not XML: %s", reply.Body)
		}
	})
}

func wellFormed(text []byte) bool {
	d := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
