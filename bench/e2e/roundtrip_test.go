package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vendue/bench/house"
	"vendue/bench/world"
)

// far are two exchanges: near sells to far through far's skin, by the preset of the same format.
type far struct {
	near, far *scene
	buyer     *world.Buyer // of far
}

// format is how near's contract speaks to far.
type format struct {
	name     string
	contract []string // near's contract, FAR for far's address and KEY for a reference to the key
	pings    bool
}

var formats = []format{
	{name: "boberdoo", pings: true, contract: []string{
		"format: boberdoo",
		"vars: {tenant: unused, Key: KEY, TYPE: north-auto, SRC: near}",
		`ping: {url: "FAR/apiJSON.php", timeout: 2s}`,
		`post: {url: "FAR/apiJSON.php", timeout: 5s}`,
	}},
	{name: "leadspedia", pings: true, contract: []string{
		"format: leadspedia",
		"vars: {account: unused, lp_campaign_id: north-auto, lp_campaign_key: KEY}",
		`ping: {url: "FAR/ping.do", timeout: 2s}`,
		`post: {url: "FAR/post.do", timeout: 5s}`,
	}},
	{name: "leadprosper", pings: true, contract: []string{
		"format: leadprosper",
		"vars: {lp_campaign_id: north-auto, lp_supplier_id: near, lp_key: KEY}",
		`ping: {url: "FAR/ping", timeout: 2s}`,
		`post: {url: "FAR/post", timeout: 5s}`,
	}},
	{name: "phonexa", contract: []string{
		"format: phonexa",
		"price: 16.00",
		"vars: {account: unused, apiId: near, apiPassword: KEY, productId: north-auto}",
		`post: {url: "FAR/lead/", timeout: 6s}`,
	}},
	{name: "px", pings: true, contract: []string{
		"format: px",
		"vars: {ApiToken: KEY, Vertical: north-auto}",
		`ping: {url: "FAR/api/lead/ping", timeout: 2s}`,
		`post: {url: "FAR/api/lead/post", timeout: 5s}`,
	}},
	{name: "leadconduit", pings: true, contract: []string{
		"format: leadconduit",
		"vars: {flow: north-auto, source: KEY}",
		`ping: {url: "FAR/flows/{var.flow}/sources/{var.source}/ping", timeout: 2s}`,
		`post: {url: "FAR/flows/{var.flow}/sources/{var.source}/submit", timeout: 5s}`,
	}},
}

func newFar(t *testing.T, f *format) *far {
	t.Helper()
	w := &far{near: newScene(t), far: newScene(t)}
	w.buyer = w.far.buyer("acme", bids(20))
	w.far.cfg.Campaign = []string{"window: 1s", "post_wait: 4s", "floor: 5.00", "margin: 20%", everySkin}
	w.far.start()
	key := filepath.Join(w.near.dir, "far-key")
	w.near.ok(os.WriteFile(key, []byte(house.NorthKey+"\n"), 0o600))
	fill := strings.NewReplacer("FAR", "http://"+w.far.cfg.Listen, "KEY", "file:"+key)
	var lines []string
	for _, line := range f.contract {
		lines = append(lines, fill.Replace(line))
	}
	w.near.cfg.Contracts = []house.Contract{{Buyer: "far", Name: "far", Raw: lines}}
	w.near.cfg.Duplicate = "none" // far's rule is what is looked at
	w.near.cfg.Campaign = []string{"window: 2500ms", "post_wait: 10s", "floor: 5.00", "margin: 10%"}
	if !f.pings {
		w.near.cfg.Tree = []string{"- {method: priority, contracts: [far]}"}
	}
	w.near.start()
	return w
}

// A lead is sold across two exchanges in every format: our own preset of a
// format, pointed at our own skin of it. Both journals tell of the same sale at the
// same price, and every other ending crosses over as well.
func TestFormatsAcrossTwoExchanges(t *testing.T) {
	for i := range formats {
		f := &formats[i]
		t.Run(f.name, func(t *testing.T) {
			w := newFar(t, f)
			l := w.near.lead()
			w.sells(f, &l)
			w.duplicate(f, &l)
			w.rejected(f)
			w.noBid(f)
			w.pending(f)
			w.agree()
		})
	}
}

// deliver walks a lead through near.
func (w *far) deliver(f *format, l *world.Lead) world.Reply {
	w.near.t.Helper()
	q := w.near.quote(l)
	if f.pings {
		w.near.is(&q, 200, "price", "14.40") // 20 less far's 20%, less near's 10%
	}
	return w.near.post(&q, l, "")
}

func (w *far) sells(f *format, l *world.Lead) {
	p := w.deliver(f, l)
	w.near.is(&p, 200, "status", "sold", "redirect_url", "https://acme.example.com/welcome")
	got := accepts(w.buyer)
	if len(got) != 1 || got[0].Phone != l.Phone {
		w.near.t.Errorf("far's buyer has %+v", got)
	}
}

// duplicate sends the same person again: far knows it.
func (w *far) duplicate(f *format, l *world.Lead) {
	p := w.deliver(f, l)
	w.near.is(&p, 200, "status", "rejected")
	refused := 0
	for _, lead := range w.far.journal().Leads {
		if lead.Reason == "duplicate" {
			refused++
		}
	}
	if refused != 1 {
		w.near.t.Errorf("far refused %d duplicates, want 1", refused)
	}
	for _, lead := range w.near.journal().Leads {
		for _, leg := range lead.Legs {
			if leg.Outcome == "rejected" && leg.Reason != "duplicate" {
				w.near.t.Errorf("near heard %s for a duplicate", leg.Reason)
			}
		}
	}
}

func (w *far) rejected(f *format) {
	manner := bids(20)
	manner.RefusePosts = 1
	w.buyer.SetManner(manner)
	l := w.near.lead()
	p := w.deliver(f, &l)
	w.near.is(&p, 200, "status", "rejected", "reason", "post_rejected")
}

func (w *far) noBid(f *format) {
	w.buyer.SetManner(world.Manner{})
	l := w.near.lead()
	if !f.pings {
		p := w.deliver(f, &l)
		w.near.is(&p, 200, "status", "rejected", "reason", "post_rejected")
		return
	}
	r := w.near.ping(&l, "")
	w.near.is(&r, 200, "status", "rejected", "reason", "no_bid")
}

// pending is a lead that far's buyer may have: near must not take it for sold or
// for free, and hears the end once far knows it.
func (w *far) pending(f *format) {
	manner := bids(20)
	manner.ResetPosts = 1
	w.buyer.SetManner(manner)
	l := w.near.lead()
	p := w.deliver(f, &l)
	w.near.is(&p, 202, "status", "pending", "reason", "unknown")
}

// agree holds both journals against each other: the same sales at the same prices.
func (w *far) agree() {
	w.near.t.Helper()
	sales := func(s *scene, amount func(*world.JournalLeg) int64) (n int, sum int64) {
		for _, lead := range s.journal().Leads {
			for i := range lead.Legs {
				if lead.Legs[i].Outcome == "accepted" {
					n++
					sum += amount(&lead.Legs[i])
				}
			}
		}
		return n, sum
	}
	n, bought := sales(w.near, func(l *world.JournalLeg) int64 { return int64(l.Bid) })
	m, sold := sales(w.far, func(l *world.JournalLeg) int64 { return int64(l.Payout) })
	if n != 1 || m != 1 || bought != sold {
		w.near.t.Errorf("near bought %d for %d, far sold %d for %d", n, bought, m, sold)
	}
	w.near.command(0, "verify", "--data", w.near.dataDir())
	w.far.command(0, "verify", "--data", w.far.dataDir())
}
