package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"vendue/bench/house"
	"vendue/bench/world"
	"vendue/cmd/app"
	"vendue/exchange"
)

// The ways to settle an unknown that need somebody to act: a buyer's callback
// (gossip.tell), the operator, a buyer's list. The others (status URL, re-post,
// deadline) the daemon goes by itself; what it did is held against the plan.

// importMax is how many lines of a buyer's list come at once.
const importMax = 30

// stranger has a buyer speak of another's lead. Nobody may take its word.
func (g *gossip) stranger(r *world.Receipt, names []string) {
	other := otherThan(r.Buyer, names)
	g.tally.add("callback of another buyer", 1)
	reply, err := g.client.Post("/v1/buyers/outcome", house.BuyerKey(other), "", verdictOn(r))
	inFlight := reply.Status == 409 && reply.RetryAfter != "" // said before anyone looks whose lead it is
	if err == nil && reply.Status != 404 && reply.Status != 503 && !inFlight {
		g.fault("I2: %s spoke of leg %s, which %s has, and was answered with %d", other, r.BidID, r.Buyer, reply.Status)
	}
}

func verdictOn(r *world.Receipt) string {
	return fmt.Sprintf(`{"lead_id":%q,"bid_id":%q,"accepted":%t}`, r.LeadID, r.BidID, r.Accepted)
}

// sendList sends the newest lines of a buyer's list of what it accepted.
func (g *gossip) sendList(buyer string, receipts []world.Receipt) {
	list := app.Reconcile{Buyer: buyer}
	for i := len(receipts) - 1; i >= 0 && len(list.Accepted) < importMax; i-- {
		if r := &receipts[i]; r.Accepted {
			list.Accepted = append(list.Accepted, app.Accepted{LeadID: r.LeadID, BidID: r.BidID})
		}
	}
	if len(list.Accepted) == 0 {
		return
	}
	g.tally.add("buyer's list", 1)
	done, ok := g.reconcile(&list)
	for i, word := range done.Lines {
		if ok && (word == "unknown" || word == "ambiguous") {
			g.fault("I2: leg %s on %s's list is %s", list.Accepted[i].BidID, buyer, word)
		}
	}
}

func (g *gossip) reconcile(list *app.Reconcile) (done app.Reconciled, ok bool) {
	body, err := json.Marshal(list)
	if err != nil {
		g.fault("a list cannot be written: %v", err)
		return done, false
	}
	reply, err := g.admin.Post("/api/reconcile", house.OpsKey, "", string(body))
	if err != nil || reply.Status == 503 {
		return done, false
	}
	if reply.Status != 200 || json.Unmarshal(reply.Body, &done) != nil || len(done.Lines) != len(list.Accepted) {
		g.fault("a buyer's list of %d lines is answered with %d: %s", len(list.Accepted), reply.Status, reply.Body)
		return done, false
	}
	return done, true
}

func (g *gossip) fault(format string, args ...any) {
	g.mu.Lock()
	g.faults = append(g.faults, fmt.Sprintf(format, args...))
	g.mu.Unlock()
}

// settleWays are how the doubts that are left at the end are settled.
type settleWay int

const (
	byCallback settleWay = iota
	byOperator
	byList
	settleWays
)

// settleBy has one doubt settled as its buyer booked it.
func (w *scene) settleBy(way settleWay, r *world.Receipt) error {
	if way == byOperator {
		reply, err := w.admin.Post("/api/settle", house.OpsKey, "", verdictOn(r))
		if err == nil && reply.Status != 200 && reply.Status != 409 {
			err = fmt.Errorf("the operator's word is answered with %d: %s", reply.Status, reply.Body)
		}
		return err
	}
	reply, err := w.callers.Post("/v1/buyers/outcome", house.BuyerKey(r.Buyer), "", verdictOn(r))
	if err == nil && reply.Status != 200 && reply.Status != 409 {
		err = fmt.Errorf("the buyer's word is answered with %d: %s", reply.Status, reply.Body)
	}
	return err
}

// settleLists has every buyer send its whole list; what is not on it and was
// begun before now counts as unsold.
func (w *scene) settleLists() {
	byBuyer := make(map[string][]app.Accepted)
	for _, r := range w.gossip.receipts() {
		if r.Accepted {
			byBuyer[r.Buyer] = append(byBuyer[r.Buyer], app.Accepted{LeadID: r.LeadID, BidID: r.BidID})
		}
	}
	before := w.op.clock.now().Add(stepMax * 2)
	for _, buyer := range w.plan.buyers {
		list := &app.Reconcile{Buyer: buyer, Accepted: byBuyer[buyer]}
		if len(list.Accepted) > 0 {
			if _, ok := w.gossip.reconcile(list); !ok {
				w.wrong("%s's list was not taken", buyer)
			}
		}
		if done, ok := w.gossip.reconcile(&app.Reconcile{Buyer: buyer, AssumeRestUnsoldBefore: &before}); !ok || done.Left != 0 {
			w.wrong("the rest of %s's doubts were not settled: %+v", buyer, done)
		}
	}
}

// repostMax is how long after a post the daemon may still post it again.
const repostMax = 11 * time.Minute

// awaitResolver waits until the daemon has settled all that it settles by
// itself. Where the clock was set back between two starts, deadlines are that much later.
func (w *scene) awaitResolver() {
	byItself := make(map[string]bool)
	for i := range w.plan.contracts {
		c := &w.plan.contracts[i]
		byItself[c.name] = c.status != "" || strings.Contains(c.settle, "assume")
	}
	again, reposts := w.plan.idempotents(), time.Now().Add(repostMax)
	for limit := time.Now().Add(3 * stepMax); time.Now().Before(limit); time.Sleep(time.Minute) {
		open := 0
		for _, d := range slices.Concat(w.doubts(false), w.doubts(true)) {
			bid := d.Get("bid_id").Str
			if again[d.Get("contract").Str] && time.Now().Before(reposts) {
				open++
				continue
			}
			if c := d.Get("contract").Str; byItself[c] && (strings.Contains(w.plan.contract(c).settle, "assume") || w.buyers[d.Get("buyer").Str].Booked(bid)) {
				open++
			}
		}
		if open == 0 {
			return
		}
	}
	w.wrong("doubts that the daemon settles by itself stand after %s", 3*stepMax)
}

// settlement checks one leg_settled against the plan and the buyers' books.
func (a *audit) settlement(e exchange.Entry, ev *exchange.LegSettled) {
	legs := a.legs[ev.LeadID]
	if ev.Attempt < 1 || int(ev.Attempt) > len(legs) {
		return // ended tells
	}
	leg := legs[ev.Attempt-1]
	c := a.contracts[leg.started.Contract]
	word := "unsold"
	if ev.Accepted {
		word = "sold"
	}
	a.tally.add("settled "+word+" by "+ev.By.String(), 1)
	fits := true
	switch ev.By {
	case exchange.SettledByStatusURL:
		fits = c.status != ""
	case exchange.SettledByRepost:
		fits = c.idempotent
	case exchange.SettledByDeadline:
		fits = strings.Contains(c.settle, "assume_"+word+",")
		a.deadline(e, leg, c)
	}
	if !fits {
		a.wrong("event %d: leg %d of lead %s is settled %s by %s; %s has status %q, idempotent %t, settle %q",
			e.Seq, leg.started.Leg, ev.LeadID, word, ev.By, c.name, c.status, c.idempotent, c.settle)
	}
	if ev.By == exchange.SettledByStatusURL || ev.By == exchange.SettledByRepost {
		bid := string(exchange.AppendBidID(nil, a.facts[ev.LeadID].PingID, leg.started.Leg))
		if verdict, ok := a.booked[ev.LeadID.String()+" "+bid]; !ok || verdict != ev.Accepted {
			a.wrong("event %d: leg %s is settled %s by %s; %s's book says %t (booked: %t)", e.Seq, bid, word, ev.By, leg.started.Buyer, verdict, ok)
		}
	}
}

// deadline checks that a doubt was not assumed anything before its time, where nobody set the clock.
func (a *audit) deadline(e exchange.Entry, leg *auditLeg, c *contract) {
	_, text, _ := strings.Cut(strings.TrimSuffix(c.settle, "}"), "after: ")
	after, err := time.ParseDuration(text)
	if age := time.Duration(e.At - leg.at); err != nil || (a.steady && age < after) {
		a.wrong("event %d: a doubt of %s is settled %s after it began, want %s (%v)", e.Seq, c.name, age, after, err)
	}
}

// doubts asks the daemon for the attempts in doubt, in test mode or in all else.
func (w *scene) doubts(tests bool) []gjson.Result {
	reply, err := w.admin.Fetch(map[bool]string{false: "/api/doubt", true: "/api/doubt?test=1"}[tests], "")
	list := reply.Get("doubts").Array()
	if err != nil || reply.Status != 200 || reply.Get("total").Int() != int64(len(list)) {
		w.wrong("the doubts cannot be read: status %d, error %v, %s in all", reply.Status, err, reply.Get("total").Raw)
	}
	return list
}

// checkDoubts holds what is left in doubt at the end, of tests or of all else, against what everyone is told of it.
func (w *scene) checkDoubts(a *audit, tests bool, list []gjson.Result) {
	listed := make(map[string]bool)
	for _, d := range list {
		listed[d.Get("lead_id").Str+" "+d.Get("bid_id").Str] = true
	}
	open := 0
	for lead, legs := range a.legs {
		for _, leg := range legs {
			if leg.state != exchange.OutcomeUnknown || a.facts[lead].Test != tests {
				continue
			}
			open++
			if key := lead.String() + " " + string(exchange.AppendBidID(nil, a.facts[lead].PingID, leg.started.Leg)); !listed[key] {
				w.wrong("a doubt that nobody settled is not on the list: %s", key)
			}
		}
	}
	if len(list) != open {
		w.wrong("%d attempts (of tests: %t) are told to be in doubt; the journal has %d", len(list), tests, open)
	}
}

// checkStatuses holds what sellers are told now of their leads against the journal.
func (w *scene) checkStatuses(books *world.Books) {
	for i := range books.Answers {
		a := &books.Answers[i]
		lead := books.Journal.Leads[a.LeadID]
		if lead == nil || a.Now.HTTP == 0 {
			continue // Reconcile tells
		}
		if a.Now.Status != lead.Status {
			w.wrong("lead %s is told to be %s; the journal says %s", a.LeadID, a.Now.Status, lead.Status)
		}
	}
}

// askHooked reads, as the seller, every lead that its webhook was told of.
func (w *scene) askHooked() map[string]string {
	now := make(map[string]string)
	for id := range w.hook.Told() {
		lead, _, _ := strings.Cut(id, "-")
		reply, err := w.callers.Fetch("/v1/leads/"+lead, house.NorthKey)
		if err != nil || reply.Status != 200 {
			w.wrong("lead %s, of which the webhook was told, is answered with %d (%v)", lead, reply.Status, err)
		}
		now[lead] = string(reply.Body)
	}
	return now
}

// checkHook holds what the webhook was told against the journal and against what the seller reads.
func (w *scene) checkHook(a *audit, now map[string]string) {
	told := make(map[string]bool)
	for id, bodies := range w.hook.Told() {
		lead, kind, _ := strings.Cut(id, "-")
		told[lead] = true
		for _, body := range bodies {
			switch {
			case kind != "settled" || body != bodies[0]:
				w.wrong("I8: notice %s said %s, and then %s", id, bodies[0], body)
			case body != now[lead] && !a.returned(lead): // a notice tells how the lead stood when it was settled
				w.wrong("I8: notice %s said %s; the seller reads %s", id, body, now[lead])
			}
		}
	}
	for lead := range a.settledLast {
		if !told[lead] {
			w.wrong("I8: lead %s was settled, and its seller's webhook was never told", lead)
		}
	}
	for lead := range told {
		if !a.settledLast[lead] {
			w.wrong("the webhook was told of lead %s, which no settlement ended", lead)
		}
	}
	w.tally.add("webhook notices", len(told))
}
