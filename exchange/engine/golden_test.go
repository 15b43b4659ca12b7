package engine

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"vendue/exchange"
	"vendue/exchange/book"
)

// TestGolden plays the journeys of testdata in virtual time. README.md there says how to read them.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/journeys", func(t *testing.T, path string) {
		synctest.Test(t, func(t *testing.T) {
			h := &story{t: t, disk: newDisk(), ids: map[string]string{}, pings: map[string]exchange.PingID{}, leads: map[string]exchange.LeadID{}}
			defer h.stop()
			datadriven.RunTest(t, path, h.run)
		})
	})
}

// story is what a transcript has said so far.
type story struct {
	t      *testing.T
	disk   *disk
	engine *Engine
	world  *world
	told   int // events shown
	starts uint64
	ids    map[string]string // id to label
	pings  map[string]exchange.PingID
	leads  map[string]exchange.LeadID
	flying chan PostAnswer
	ahead  time.Duration // of the bubble's clock
}

func (h *story) run(t *testing.T, d *datadriven.TestData) string {
	var out string
	switch d.Cmd {
	case "market":
		h.stop()
		h.disk, h.told = newDisk(), 0
		h.open(newWorld(t, d.Input))
	case "reload":
		h.world = newWorld(t, d.Input)
		h.must(h.engine.Install(h.world.market, h.watched(), h.world.market.Hash))
	case "crash":
		out = h.crash()
	case "advance":
		time.Sleep(mustDuration(d.CmdArgs[0].Key))
		synctest.Wait()
	case "until":
		h.until(d.CmdArgs[0].Key)
	case "pay":
		out = h.pay(d)
	case "used":
		return h.used()
	case "ping":
		out = h.ping(d)
	case "post":
		out = h.post(d)
	case "direct":
		out = h.answer(h.engine.Direct(h.directRequest(d)))
	case "finish":
		h.world.buyers.hung <- d.CmdArgs[0].Key
		out = h.answer(<-h.flying)
	case "outcome":
		out = h.outcome(d)
	case "lead":
		view, err := h.engine.Lead("s", h.leads[d.CmdArgs[0].Key].String())
		h.must(err)
		out = h.answer(PostAnswer{View: view})
	case "close":
		words := [...]string{"closed", "closed before", "not found", "ambiguous", "busy", "failed"}
		out = words[h.engine.CloseConflict(h.leads[d.CmdArgs[0].Key].String(), "", "ops")] + "\n"
	case "return":
		out = h.giveBack(d)
	case "rest":
		settled, left, ok := h.engine.AssumeUnsold(exchange.BuyerID(d.CmdArgs[0].Key), h.now().Add(-mustDuration(arg(d, "older"))))
		out = fmt.Sprintf("settled %d, left %d, ok %t\n", settled, left, ok)
	case "repeat":
		return h.repeat(d)
	case "doubts":
		return h.doubts(has(d, "test"))
	case "looked":
		return h.looked()
	case "caps":
		return h.caps()
	default:
		t.Fatalf("%s: no such command", d.Pos)
	}
	h.checkReplay()
	return out + h.events(d.Cmd)
}

func (h *story) must(err error) {
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *story) watched() Bidders {
	disk, t := h.disk, h.t
	h.world.buyers.onPost = func(d *exchange.Delivery) {
		if !disk.startedOnDisk(d) {
			t.Errorf("lead %s left the house before its post_started was on disk", d.LeadID)
		}
	}
	return h.world.buyers
}

func (h *story) open(w *world) {
	h.world = w
	h.starts++
	minter := testMinter(h.t, h.starts<<32)
	e, err := openEngine(h.t, h.disk, w.market, h.watched(), func(_ *Config, d *Deps) { d.Minter, d.Clock = minter, h.now })
	h.must(err)
	e.Start()
	h.engine = e
}

func (h *story) stop() {
	if h.engine != nil {
		h.must(h.engine.Stop(context.Background()))
	}
}

// crash loses the unsynced tail and starts over what is left. A post in flight goes on in a house that is no more.
func (h *story) crash() string {
	old, before := h.engine, len(h.disk.entries)
	h.disk = h.disk.crash()
	lost := before - len(h.disk.entries)
	if h.flying != nil {
		h.world.buyers.hung <- "accept"
		<-h.flying
		h.flying = nil
	}
	h.must(old.Stop(context.Background()))
	h.open(h.world)
	if lost > 0 {
		return fmt.Sprintf("lost %d events\n", lost)
	}
	return ""
}

func arg(d *datadriven.TestData, key string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func has(d *datadriven.TestData, key string) bool { return d.HasArg(key) }

func values(d *datadriven.TestData) []exchange.Value {
	v := make([]exchange.Value, slotCount)
	for slot, key := range [slotCount]string{"zip", "state", "phone"} {
		if text := arg(d, key); text != "" {
			v[slot] = exchange.Value{Text: text, Set: true}
		}
	}
	return v
}

func consent(d *datadriven.TestData) exchange.Consent {
	if !has(d, "consent") && !has(d, "named") {
		return exchange.Consent{}
	}
	c := exchange.Consent{Given: true, Raw: "{}"}
	if named := arg(d, "named"); named != "" {
		c.NamedBuyers = strings.Split(named, ",")
	}
	return c
}

func (h *story) pingRequest(d *datadriven.TestData) PingRequest {
	snap := h.engine.Snapshot()
	req := PingRequest{
		Snap: snap, Campaign: snap.Market.Campaigns[exchange.CampaignID(cmp.Or(arg(d, "campaign"), "c"))], Arrival: h.now(), Ref: arg(d, "ref"), Test: has(d, "test"),
		Consent: consent(d), Values: values(d),
		Source: exchange.Source{Affiliate: arg(d, "affiliate"), ClickID: arg(d, "click")},
	}
	if s := arg(d, "min_price"); s != "" {
		req.MinPrice = mustMoney(s)
	}
	if s := arg(d, "max_wait"); s != "" {
		req.MaxWait = mustDuration(s)
	}
	if s := arg(d, "sale"); s == "shared" {
		req.Sale = exchange.SaleShared
	} else if s == "exclusive" {
		req.Sale = exchange.SaleExclusive
	}
	if s := arg(d, "max_legs"); s != "" {
		req.MaxLegs = mustInt(s)
	}
	return req
}

func (h *story) ping(d *datadriven.TestData) string {
	req := h.pingRequest(d)
	ans := h.engine.Ping(&req)
	name := h.name(ans.PingID.String(), "p")
	h.pings[name] = ans.PingID
	var out string
	switch {
	case ans.Quote == nil:
		out = fmt.Sprintf("%s %s", name, ans.Reason)
	case ans.Cached:
		out = fmt.Sprintf("%s %s cached", name, ans.Quote.Price)
	default:
		out = fmt.Sprintf("%s %s for %s:", name, ans.Quote.Price, ans.Quote.Expires.Sub(ans.Quote.Opened))
		if ans.Quote.Sale == exchange.SaleShared {
			out += fmt.Sprintf(" shared by %d,", ans.Quote.Places)
		}
		for i, leg := range ans.Quote.Legs {
			out += fmt.Sprintf(" %d. %s %s", i+1, leg.Contract.ID, leg.Bid)
		}
	}
	if ans.Elapsed > 0 {
		out += fmt.Sprintf(" (%s)", ans.Elapsed)
	}
	return out + "\n"
}

func (h *story) name(id, prefix string) string {
	if h.ids[id] == "" {
		n := 1
		for _, label := range h.ids {
			if strings.HasPrefix(label, prefix) {
				n++
			}
		}
		h.ids[id] = fmt.Sprint(prefix, n)
	}
	return h.ids[id]
}

func (h *story) postRequest(d *datadriven.TestData) *PostRequest {
	snap, lead := h.engine.Snapshot(), values(d)
	ping := d.CmdArgs[0].Key
	if id, ok := h.pings[ping]; ok {
		ping = id.String()
	}
	req := &PostRequest{
		Snap: snap, Seller: snap.Market.Sellers[exchange.SellerID(cmp.Or(arg(d, "seller"), "s"))], Arrival: h.now(), Key: arg(d, "key"),
		Body: strings.Join([]string{d.CmdArgs[0].Key, arg(d, "phone"), arg(d, "body")}, " "), PingID: ping, Consent: consent(d),
		Decode: func(v *exchange.Vertical, ping []exchange.Value) ([]exchange.Value, bool) {
			out := append([]exchange.Value(nil), ping...)
			out[slotPhone] = lead[slotPhone]
			return out, !has(d, "bad_lead")
		},
	}
	if leg := arg(d, "bid_id"); leg != "" {
		for no := range strings.SplitSeq(leg, ",") {
			req.BidIDs = append(req.BidIDs, ping+"-"+no)
		}
	}
	return req
}

// post posts once, or n times at once with `times=n`, or with `fly` until finish or crash.
func (h *story) post(d *datadriven.TestData) string {
	if has(d, "fly") {
		h.flying = make(chan PostAnswer, 1)
		req, e, ch := h.postRequest(d), h.engine, h.flying
		go func() { ch <- e.Post(req) }()
		synctest.Wait()
		return "in flight\n"
	}
	if times := arg(d, "times"); times != "" {
		return h.postMany(d, mustInt(times))
	}
	return h.answer(h.engine.Post(h.postRequest(d)))
}

func (h *story) postMany(d *datadriven.TestData, times int) string {
	answers := make(chan PostAnswer, times)
	for range times {
		go func() {
			ans := h.engine.Post(h.postRequest(d))
			for ans.Fault == FaultKeyBusy {
				time.Sleep(time.Millisecond) // as its Retry-After asks
				ans = h.engine.Post(h.postRequest(d))
			}
			answers <- ans
		}()
	}
	counts := map[string]int{}
	var order []string
	for range times {
		ans := <-answers
		line := fmt.Sprintf("%s %s", ans.View.Status, cmp.Or(ans.View.Reason.String(), "ok"))
		if ans.Fault != FaultNone {
			line = fmt.Sprintf("fault %d", ans.Fault)
		}
		if counts[line]++; counts[line] == 1 {
			order = append(order, line)
		}
	}
	var out strings.Builder
	for _, line := range order {
		fmt.Fprintf(&out, "%d x %s\n", counts[line], line)
	}
	h.told = len(h.disk.entries) // in no order that a transcript could hold
	return out.String()
}

func (h *story) directRequest(d *datadriven.TestData) *DirectRequest {
	return &DirectRequest{PingRequest: h.pingRequest(d), Key: arg(d, "key"), Body: arg(d, "phone") + arg(d, "body")}
}

var faultWords = map[Fault]string{
	FaultLead: "lead fields at fault", FaultBidID: "bid_ids at fault", FaultKeyBusy: "busy", FaultKeyClash: "key came with another body",
}

func (h *story) answer(ans PostAnswer) string {
	v := &ans.View
	switch {
	case ans.Fault == FaultReason:
		return "fault: " + ans.Reason.String() + "\n"
	case ans.Fault != FaultNone:
		return "fault: " + faultWords[ans.Fault] + "\n"
	case !v.Known():
		return "no such lead\n"
	}
	label := h.lead(v.LeadID)
	out := label + " " + v.Status.String()
	if v.Status == exchange.LeadSold {
		out += " " + v.Price().String()
	}
	if v.Reason != exchange.ReasonNone {
		out += " " + v.Reason.String()
	}
	if !v.First.IsZero() {
		out += " (see " + h.lead(v.First) + ")"
	}
	if !v.Final() {
		out += ", not final"
	}
	return out + fmt.Sprintf(" (%dms)\n", v.ElapsedMs)
}

func (h *story) lead(id exchange.LeadID) string {
	label := h.name(id.String(), "l")
	h.leads[label] = id
	return label
}

func (h *story) outcome(d *datadriven.TestData) string {
	id := h.leads[d.CmdArgs[0].Key]
	v := &Verdict{LeadID: id.String(), Buyer: exchange.BuyerID(arg(d, "by")), Accepted: has(d, "accepted"), By: exchange.SettledByBuyer}
	if v.Buyer == "operator" {
		v.Buyer, v.By = "", exchange.SettledByOperator
	}
	if leg := arg(d, "leg"); leg != "" {
		view, err := h.engine.Lead("s", id.String())
		h.must(err)
		v.BidID = view.Facts.PingID.String() + "-" + leg
	}
	words := [...]string{"settled", "settled before", "conflict", "not found", "ambiguous", "in flight", "failed"}
	settled, _ := h.engine.Settle(v)
	return words[settled] + "\n"
}

// giveBack returns a leg: `return l1 by=BUYER|operator [leg=n] [reason=wrong_number]`.
func (h *story) giveBack(d *datadriven.TestData) string {
	id := h.leads[d.CmdArgs[0].Key]
	r := &Return{LeadID: id.String(), Buyer: exchange.BuyerID(arg(d, "by")), Reason: exchange.ReturnReason(cmp.Or(arg(d, "reason"), "invalid_phone")), Note: "n"}
	if r.Buyer == "operator" {
		r.Buyer, r.Operator = "", "ops"
	}
	if leg := arg(d, "leg"); leg != "" {
		view, err := h.engine.Lead("s", id.String())
		h.must(err)
		r.BidID = view.Facts.PingID.String() + "-" + leg
	}
	done, _, _ := h.engine.Return(r)
	return done.String() + "\n"
}

// repeat sells a number of leads directly, each of another person, and counts the contracts that were posted to.
func (h *story) repeat(d *datadriven.TestData) string {
	h.world.buyers.delivered = nil
	for n := range mustInt(d.CmdArgs[0].Key) {
		req := h.directRequest(d)
		h.told++ // a person of its own for each
		req.Values[slotPhone] = exchange.Value{Text: fmt.Sprint("repeat-", h.told, "-", n), Set: true}
		h.engine.Direct(req)
	}
	counts := map[string]int{}
	for _, name := range h.world.buyers.delivered {
		counts[name]++
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&out, "%s posted to %d times\n", name, counts[name])
	}
	h.told = len(h.disk.entries)
	return out.String()
}

// doubts lists what is in doubt, of tests or of all else, and in conflict.
func (h *story) doubts(tests bool) string {
	var out strings.Builder
	doubts, total, err := h.engine.Doubts(tests, 10)
	h.must(err)
	for _, d := range doubts {
		fmt.Fprintf(&out, "%s leg %d %s of %s %s, %s old, conflict %t\n", h.lead(d.LeadID), d.Leg, d.Contract, d.Buyer, d.Bid, time.Since(d.Since).Truncate(time.Second), d.Conflict)
	}
	conflicts, open, err := h.engine.Conflicts(10)
	h.must(err)
	for _, c := range conflicts {
		fmt.Fprintf(&out, "conflict %s leg %d %s of %s %s: accepted=%t by %s, stands %s\n", h.lead(c.LeadID), c.Leg, c.Contract, c.Buyer, c.Bid, c.Accepted, c.By, c.Stands)
	}
	oldest, n := h.engine.Doubtful()
	kept, _ := h.engine.resolver.size()
	if n != open || len(conflicts) != open || len(doubts) != total {
		h.t.Errorf("%d and %d conflicts open, %d listed", n, open, len(conflicts))
	}
	fmt.Fprintf(&out, "%d in doubt, the oldest for %s; %d in conflict; %d leads kept\n", total, oldest.Truncate(time.Second), n, kept)
	return out.String()
}

// looked shows the status look-ups since it last did.
func (h *story) looked() string {
	h.world.buyers.mu.Lock()
	defer h.world.buyers.mu.Unlock()
	var out strings.Builder
	for _, q := range h.world.buyers.looked {
		fmt.Fprintf(&out, "%s leg %d %s token=%q test=%t\n", h.lead(q.LeadID), q.Leg, q.Contract.ID, q.Token, q.Test)
	}
	h.world.buyers.looked = nil
	return out.String()
}

// events shows what the journal holds beyond what was shown.
func (h *story) events(cmd string) string {
	var out strings.Builder
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	h.told = min(h.told, len(h.disk.entries))
	for _, e := range h.disk.entries[h.told:] {
		if e.Seq > h.disk.synced {
			out.WriteString("  not on disk:")
		}
		if line := h.event(e.Event); cmd != "market" && line != "" {
			fmt.Fprintf(&out, "  %s %s\n", e.Event.Kind(), line)
		}
	}
	h.told = len(h.disk.entries)
	return out.String()
}

func (h *story) event(ev exchange.Event) string {
	switch ev := ev.(type) {
	case *exchange.LimitSet:
		return fmt.Sprintf("%s %d", ev.Cap, ev.Limit)
	case *exchange.PostStarted:
		return fmt.Sprintf("%s.%d leg %d %s bid %s payout %s", h.lead(ev.LeadID), ev.Attempt, ev.Leg, ev.Contract, ev.Bid, ev.Payout)
	case *exchange.PostEnded:
		return fmt.Sprintf("%s.%d %s, lead %s %s", h.lead(ev.LeadID), ev.Attempt, ev.Outcome, ev.Status, ev.LeadReason)
	case *exchange.LeadRefused:
		return fmt.Sprintf("%s %s", h.lead(ev.LeadID), ev.Reason)
	case *exchange.LegSettled:
		return fmt.Sprintf("%s.%d accepted=%t by %s, lead %s", h.lead(ev.LeadID), ev.Attempt, ev.Accepted, ev.By, ev.Status)
	case *exchange.LegGivenBack:
		return fmt.Sprintf("%s.%d %s of %s for %s by %s: bid %s payout %s frees %d, lead %s", h.lead(ev.LeadID), ev.Attempt, ev.Contract, ev.Buyer, ev.Reason, ev.By, ev.Bid, ev.Payout, len(ev.Frees), ev.Status)
	case *exchange.ConflictClosed:
		return fmt.Sprintf("%s.%d by %s", h.lead(ev.LeadID), ev.Attempt, ev.Operator)
	case *exchange.LegConflict:
		return fmt.Sprintf("%s.%d accepted=%t by %s", h.lead(ev.LeadID), ev.Attempt, ev.Accepted, ev.By)
	}
	return ""
}

func (h *story) caps() string {
	var out strings.Builder
	for _, c := range h.engine.Caps() {
		fmt.Fprintf(&out, "%s held %s committed %s of %s\n", c.Cap, amount(c.Unit, c.Held), amount(c.Unit, c.Committed), amount(c.Unit, c.Limit))
	}
	if n, value := h.engine.InDoubt(); n > 0 {
		fmt.Fprintf(&out, "in doubt %d worth %s\n", n, value)
	}
	return out.String()
}

func amount(unit exchange.CapUnit, n int64) string {
	if unit == exchange.CapSpend {
		return exchange.Money(n).String()
	}
	return fmt.Sprint(n)
}

// checkReplay holds the live book against one made from the journal alone (I9).
func (h *story) checkReplay() {
	h.engine.mu.Lock()
	live := h.engine.book.Snapshot()
	h.engine.mu.Unlock()
	replayed := book.New()
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	for _, e := range h.disk.entries {
		replayed.Apply(e)
	}
	if !bytes.Equal(live, replayed.Snapshot()) {
		h.t.Errorf("live book:\n%s\nreplayed:\n%s", live, replayed.Snapshot())
	}
}
