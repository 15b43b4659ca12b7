package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"vendue/bench/house"
	"vendue/bench/world"
	"vendue/exchange"
)

// gossip is the buyers' late word on what they got: verdicts that come twice,
// while the post still runs, much later, and sometimes against their own books.
// A wrong verdict that the exchange took is the buyer's word from then on.
//
// mu guards wrong, unsure and faults.
type gossip struct {
	buyers map[string]*world.Buyer
	client *world.Client
	admin  *world.Client
	tally  *tally
	random *rand.Rand // of the one goroutine that tells

	mu     sync.Mutex
	wrong  map[string]bool // by bid_id of lead: the verdict that the exchange took
	unsure []world.Receipt // wrong verdicts of which no answer came
	faults []string
}

func legOf(r *world.Receipt) string { return r.LeadID + " " + r.BidID }

// run tells verdicts until ctx ends.
func (g *gossip) run(ctx context.Context, names []string) {
	for {
		timer := time.NewTimer(time.Duration(g.random.Int64N(int64(600 * time.Millisecond))))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		b := g.buyers[names[g.random.IntN(len(names))]]
		receipts := b.Receipts()
		if len(receipts) == 0 {
			continue
		}
		r := receipts[g.random.IntN(len(receipts))]
		if g.random.IntN(2) == 0 {
			r = receipts[len(receipts)-1]
		}
		switch g.random.IntN(10) {
		case 0:
			g.stranger(&r, names)
		case 1, 2:
			g.sendList(r.Buyer, receipts)
		case 3, 4:
			g.tell(r, g.random.IntN(8) == 0, sayAsOperator(g.admin))
		default:
			g.tell(r, g.random.IntN(8) == 0, sayAsBuyer(g.client))
		}
	}
}

// say is a way to tell the exchange a verdict.
type say struct {
	who  string
	send func(r *world.Receipt) (world.Reply, error)
}

func sayAsBuyer(c *world.Client) say {
	return say{"callback", func(r *world.Receipt) (world.Reply, error) {
		return c.Post("/v1/buyers/outcome", house.BuyerKey(r.Buyer), "", verdictOn(r))
	}}
}

func sayAsOperator(c *world.Client) say {
	return say{"operator's word", func(r *world.Receipt) (world.Reply, error) {
		return c.Post("/api/settle", house.OpsKey, "", verdictOn(r))
	}}
}

// tell sends a verdict, the opposite one if it is to be wrong.
func (g *gossip) tell(r world.Receipt, wrong bool, by say) {
	if wrong {
		r.Accepted = !r.Accepted
		g.tally.add("wrong "+by.who, 1)
	}
	g.tally.add(by.who, 1)
	reply, err := by.send(&r)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil || reply.Status == 503:
		if wrong {
			g.unsure = append(g.unsure, r)
		}
	case reply.Status == 409:
		g.tally.add("contradicted", 1)
	case reply.Status == 200:
		if wrong {
			g.wrong[legOf(&r)] = r.Accepted
		}
	default:
		g.faults = append(g.faults, fmt.Sprintf("I2: the outcome of leg %s, which %s has, is answered with %d", r.BidID, r.Buyer, reply.Status))
	}
}

// settle asks again about wrong verdicts of which no answer came. The daemon is up for good.
func (g *gossip) settle() {
	for _, r := range g.unsure {
		reply, err := sayAsBuyer(g.client).send(&r)
		switch {
		case err != nil || (reply.Status != 200 && reply.Status != 409):
			g.faults = append(g.faults, fmt.Sprintf("outcome of leg %s: status %d, error %v", r.BidID, reply.Status, err))
		case reply.Status == 200:
			g.wrong[legOf(&r)] = r.Accepted
		}
	}
}

// receipts are the buyers' books with the wrong verdicts in force.
func (g *gossip) receipts() (all []world.Receipt) {
	for _, b := range g.buyers {
		for _, r := range b.Receipts() {
			if verdict, ok := g.wrong[legOf(&r)]; ok {
				r.Accepted = verdict
			}
			all = append(all, r)
		}
	}
	return all
}

// intruder sends the same few people again and again: with the same key at
// once and later, and with other keys. The answers of one key must be one.
//
// mu guards finals, answers and faults.
type intruder struct {
	seed   uint64
	client *world.Client
	tally  *tally

	mu      sync.Mutex
	finals  map[string]string // by key: the first final answer
	answers map[string]*world.Answer
	faults  []string
}

// person sends one person's lead as often as r says.
func (i *intruder) person(n int, r *rand.Rand) {
	lead := world.MakeLead(i.seed^0x1dea, uint64(n))
	path, body := "/v1/direct", append(lead.AppendWhole([]byte(`{"campaign":"north-auto","lead":`)), '}')
	if r.IntN(2) == 0 {
		ping := append(lead.AppendPing([]byte(`{"campaign":"north-auto","lead":`)), '}')
		reply, err := i.client.Post("/v1/ping", house.NorthKey, "", string(ping))
		if err != nil || reply.Get("status").Str != "accepted" {
			return
		}
		path, body = "/v1/post", append(lead.AppendWhole([]byte(`{"ping_id":"`+reply.Get("ping_id").Str+`","lead":`)), '}')
	}
	var flight sync.WaitGroup
	for k := range 2 + r.IntN(4) {
		key := fmt.Sprintf("intruder-%d-%d", n, k/2*r.IntN(2))
		flight.Go(func() { i.send(path, key, body) })
		if r.IntN(2) == 0 {
			time.Sleep(time.Duration(r.Int64N(int64(3 * time.Second))))
		}
	}
	flight.Wait()
}

func (i *intruder) send(path, key string, body []byte) {
	i.tally.add("repeated request", 1)
	reply, err := i.client.Do(world.Call{Method: "POST", Path: path, Key: house.NorthKey, Idem: key, Body: body})
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil || reply.Status == 409 || reply.Status == 429 || reply.Status == 503 {
		return
	}
	if reply.Status != 200 && reply.Status != 202 {
		i.faults = append(i.faults, fmt.Sprintf("a repeated request is answered with %d: %s", reply.Status, reply.Get("detail").Str))
		return
	}
	text, id := string(reply.Body), reply.Get("lead_id").Str
	if reply.Get("reason").Str == exchange.ReasonPingUsed.String() {
		return // the lead_id is that of the ping's first post
	}
	a := i.answers[key]
	switch {
	case a == nil:
		a = &world.Answer{Idem: key, LeadID: id, Direct: true, Posted: true, Intake: world.Intake{Campaign: "north-auto", Key: house.NorthKey}}
		i.answers[key] = a
	case a.LeadID != id:
		i.faults = append(i.faults, fmt.Sprintf("I3: key %s was lead %s and is lead %s", key, a.LeadID, id))
	}
	final := reply.Status == 200 && (reply.Get("status").Str == "rejected" || reply.Get("final").Bool())
	if first, had := i.finals[key]; final && had && first != text {
		i.faults = append(i.faults, fmt.Sprintf("I3: the final answer of key %s changed from %s to %s", key, first, text))
	}
	if final && i.finals[key] == "" {
		i.finals[key], a.Told = text, verdictOf(&reply)
	}
}

func verdictOf(reply *world.Reply) world.Verdict {
	v := world.Verdict{HTTP: reply.Status, Status: reply.Get("status").Str, Reason: reply.Get("reason").Str, Price: moneyOf(reply.Get("price"))}
	for _, leg := range reply.Get("legs").Array() {
		v.Legs = append(v.Legs, world.TheirLeg{BidID: leg.Get("bid_id").Str, Price: moneyOf(leg.Get("price")), Status: leg.Get("status").Str})
	}
	return v
}

func moneyOf(v gjson.Result) exchange.Money {
	m, err := exchange.ParseMoney(v.Raw)
	if err != nil {
		return 0
	}
	return m
}

// ask asks what became of every lead that the intruder was told of.
func (i *intruder) ask() (all []world.Answer, err error) {
	for key, a := range i.answers {
		reply, e := i.client.Fetch("/v1/leads/"+a.LeadID, a.Intake.Key)
		err = errors.Join(err, e)
		a.Now = verdictOf(&reply)
		if first := i.finals[key]; first != "" && e == nil && a.Told.Status == "rejected" && first != string(reply.Body) {
			i.faults = append(i.faults, fmt.Sprintf("I3: lead %s was %s and is %s", a.LeadID, first, reply.Body))
		}
		all = append(all, *a)
	}
	return all, err
}
