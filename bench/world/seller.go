package world

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"vendue/exchange"
)

// Traffic says what a Seller sends. Shares run from 0 to 1.
type Traffic struct {
	Addr      string // host:port of the exchange's public listener
	Dial      Dial   // nil: TCP
	Seed      uint64
	Campaigns []Intake // taken in turn
	First     int      // number of the first lead; traffics of one seed must not overlap
	Count     int      // leads; required
	Rate      float64  // leads per second, open loop; 0: as fast as InFlightMax allows
	InFlight  int      // most leads in flight; 1,024 if zero. A lead that waits for its place is late, and its latency says so

	Direct     float64 // share sent through /v1/direct
	ViaClick   float64 // share that first goes through the offer's link
	Named      float64 // share whose source names an affiliate
	Offer      string
	Affiliates []string
	MaxWaitMs  int // of a ping; 0: not sent

	Timeout time.Duration // of one request; 15 s if zero
}

// Intake is a campaign and its seller's key.
type Intake struct{ Campaign, Key string }

// Answer is what a seller was told of one lead, at first and, after Ask, at last.
type Answer struct {
	Number    int
	Intake    Intake
	Idem      string
	PingID    string
	LeadID    string
	Direct    bool
	Affiliate string // who brought it, "" for nobody
	ClickID   string // our click id, if it came through a click
	Told      Verdict
	Now       Verdict // what GET /v1/leads/{lead_id}, or the repeat of an unanswered post, said at last; zero if never asked
	Posted    bool    // a post or direct was sent
	NoAnswer  bool    // the post or direct was never answered
	body      []byte  // of the post or direct while it may have to be repeated
}

// Verdict is one answer to a post, direct or status request.
type Verdict struct {
	HTTP   int
	Status string // sold, rejected, pending, returned; "" if it was a fault
	Reason string
	Price  exchange.Money
	Legs   []TheirLeg
}

// TheirLeg is one leg as the seller sees it.
type TheirLeg struct {
	BidID  string
	Price  exchange.Money
	Status string
}

// Last returns the newest verdict.
func (a *Answer) Last() *Verdict {
	if a.Now.HTTP != 0 {
		return &a.Now
	}
	return &a.Told
}

// SellerStats is how the traffic fares.
type SellerStats struct {
	Sent, Done, Sold, Rejected, NoPrice, Pending, Faults, NoAnswer int64
	Payout                                                         exchange.Money
	PingP50, PingP99, PostP50, PostP99, LeadP50, LeadP99           time.Duration
}

// Seller sends traffic and keeps every answer. Run, then Ask, each once at a time.
//
// mu guards answers' elements once their lead is done, stats and histograms;
// each lead in flight belongs to its own goroutine, which Run waits for.
type Seller struct {
	traffic Traffic
	client  *Client
	idemTag string

	sent atomic.Int64

	mu      sync.Mutex
	answers []Answer
	stats   SellerStats
	ping    *hdrhistogram.Histogram
	post    *hdrhistogram.Histogram
	lead    *hdrhistogram.Histogram // from the intended start to the last answer
}

// NewSeller returns a seller of t.
func NewSeller(t Traffic) *Seller {
	if t.InFlight == 0 {
		t.InFlight = 1024
	}
	if t.Timeout == 0 {
		t.Timeout = 15 * time.Second
	}
	h := func() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Minute.Microseconds(), 3) }
	return &Seller{
		traffic: t, client: NewClient(t.Addr, t.Dial), idemTag: strconv.FormatUint(t.Seed, 36),
		ping: h(), post: h(), lead: h(),
	}
}

// Close closes the seller's idle connections.
func (s *Seller) Close() { s.client.Close() }

// Run sends the traffic and waits until every lead sent is answered. It ends
// early, without an error of its own, when ctx does; what is in flight then is still waited for.
func (s *Seller) Run(ctx context.Context) {
	places := make(chan struct{}, s.traffic.InFlight)
	var flight sync.WaitGroup
	defer flight.Wait()
	began := time.Now()
	for n := range s.traffic.Count {
		intended := time.Now()
		if s.traffic.Rate > 0 {
			intended = began.Add(time.Duration(float64(n) / s.traffic.Rate * float64(time.Second)))
			if !waitUntil(ctx, intended) {
				return
			}
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		s.sent.Add(1)
		flight.Go(func() {
			s.one(s.traffic.First+n, intended)
			<-places
		})
	}
}

func waitUntil(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// one walks a lead from its click to the answer to its post.
func (s *Seller) one(n int, intended time.Time) {
	t := &s.traffic
	r := newDice(t.Seed^0xbeef, uint64(n))
	a := Answer{Number: n, Intake: t.Campaigns[n%len(t.Campaigns)], Idem: s.idemTag + "-" + strconv.Itoa(n)}
	lead := MakeLead(t.Seed, uint64(n))
	source := s.source(&a, &r)
	a.Direct = r.hits(t.Direct)
	if a.Direct {
		body := s.head(&a, source)
		body = append(lead.AppendWhole(append(body, `,"lead":`...)), '}')
		s.deliver(&a, "/v1/direct", body, intended)
	} else if s.quote(&a, &lead, source, intended) {
		body := append([]byte(`{"ping_id":"`+a.PingID+`","lead":`), lead.AppendWhole(nil)...)
		s.deliver(&a, "/v1/post", append(body, '}'), time.Now())
	}
	s.finish(a, intended)
}

func (s *Seller) head(a *Answer, source []byte) []byte {
	body := append([]byte(`{"campaign":"`), a.Intake.Campaign...)
	body = append(body, `","ref":"`+a.Idem+`"`...)
	if s.traffic.MaxWaitMs > 0 {
		body = appendInt(append(body, `,"max_wait_ms":`...), s.traffic.MaxWaitMs)
	}
	return append(body, source...)
}

// source decides who brought the lead, walks through the offer's link if it came that way, and returns the body's source member.
func (s *Seller) source(a *Answer, r *dice) []byte {
	t := &s.traffic
	if len(t.Affiliates) == 0 {
		return nil
	}
	affiliate := t.Affiliates[r.next()%uint64(len(t.Affiliates))]
	own := "theirs-" + a.Idem
	switch draw := float64(r.next()>>11) / (1 << 53); {
	case draw < t.ViaClick:
		reply, err := s.client.Do(Call{
			Method: "GET", Path: "/c/" + t.Offer + "?aff=" + url.QueryEscape(affiliate) + "&cid=" + own + "&sub1=demo", Timeout: t.Timeout,
		})
		if err != nil || reply.Status != 302 {
			return nil // the consumer came, unattributed
		}
		to, err := url.Parse(reply.Location)
		if err != nil || to.Query().Get("click_id") == "" {
			return nil
		}
		a.Affiliate, a.ClickID = affiliate, to.Query().Get("click_id")
		return fmt.Appendf(nil, `,"source":{"click_id":%q}`, a.ClickID)
	case draw < t.ViaClick+t.Named:
		a.Affiliate = affiliate
		return fmt.Appendf(nil, `,"source":{"affiliate":%q,"offer":%q,"click_id":%q,"sub1":"named"}`, affiliate, t.Offer, own)
	default:
		return nil
	}
}

// quote pings; true if there is a price to post at.
func (s *Seller) quote(a *Answer, lead *Lead, source []byte, intended time.Time) bool {
	body := s.head(a, source)
	body = append(lead.AppendPing(append(body, `,"lead":`...)), '}')
	reply, err := s.client.Do(Call{Method: "POST", Path: "/v1/ping", Key: a.Intake.Key, Body: body, Timeout: s.traffic.Timeout})
	s.record(s.ping, intended)
	if err != nil {
		a.Told = Verdict{Reason: err.Error()}
		return false
	}
	a.PingID = reply.Get("ping_id").String()
	if reply.Status == 200 && reply.Get("status").String() == "accepted" {
		return true
	}
	a.Told = readVerdict(&reply)
	return false
}

func (s *Seller) deliver(a *Answer, path string, body []byte, intended time.Time) {
	a.Posted = true
	reply, err := s.client.Do(Call{Method: "POST", Path: path, Key: a.Intake.Key, Idem: a.Idem, Body: body, Timeout: s.traffic.Timeout})
	s.record(s.post, intended)
	if err != nil {
		a.NoAnswer, a.body = true, body
		a.Told = Verdict{Reason: err.Error()}
		return
	}
	a.LeadID, a.Told = reply.Get("lead_id").String(), readVerdict(&reply)
}

func readVerdict(reply *Reply) Verdict {
	v := Verdict{HTTP: reply.Status, Status: reply.Get("status").String(), Reason: reply.Get("reason").String()}
	if reply.Status >= 400 {
		v.Status = ""
		return v
	}
	v.Price = readMoney(reply.Get("price").Raw)
	for _, leg := range reply.Get("legs").Array() {
		v.Legs = append(v.Legs, TheirLeg{
			BidID: leg.Get("bid_id").String(), Price: readMoney(leg.Get("price").Raw), Status: leg.Get("status").String(),
		})
	}
	return v
}

// readMoney returns -1 for what is no amount, which no book agrees with, and 0 for nothing.
func readMoney(raw string) exchange.Money {
	if raw == "" {
		return 0
	}
	m, err := exchange.ParseMoney(raw)
	if err != nil {
		return -1
	}
	return m
}

func (s *Seller) record(h *hdrhistogram.Histogram, intended time.Time) {
	took := time.Since(intended).Microseconds()
	s.mu.Lock()
	_ = h.RecordValue(min(max(took, 1), h.HighestTrackableValue())) // in range by construction
	s.mu.Unlock()
}

func (s *Seller) finish(a Answer, intended time.Time) {
	s.record(s.lead, intended)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Done++
	switch {
	case a.NoAnswer:
		s.stats.NoAnswer++
	case a.Told.Status == "sold":
		s.stats.Sold++
		s.stats.Payout += a.Told.Price
	case a.Told.Status == "pending":
		s.stats.Pending++
	case a.Told.Status == "rejected" && !a.Posted:
		s.stats.NoPrice++
	case a.Told.Status == "rejected":
		s.stats.Rejected++
	default:
		s.stats.Faults++
	}
	s.answers = append(s.answers, a)
}

// Stats returns how the traffic fares now.
func (s *Seller) Stats() SellerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Sent = s.sent.Load()
	at := func(h *hdrhistogram.Histogram, p float64) time.Duration {
		return time.Duration(h.ValueAtPercentile(p)) * time.Microsecond
	}
	out.PingP50, out.PingP99 = at(s.ping, 50), at(s.ping, 99)
	out.PostP50, out.PostP99 = at(s.post, 50), at(s.post, 99)
	out.LeadP50, out.LeadP99 = at(s.lead, 50), at(s.lead, 99)
	return out
}

// Answers returns a copy of every answer so far, in the order of arrival.
func (s *Seller) Answers() []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Answer(nil), s.answers...)
}

// Ask asks again what became of every lead: told ones by their lead_id,
// unanswered ones by repeating the post under its key. Call it when Run has
// returned. Connections are opened anew: the exchange may be another process by now.
func (s *Seller) Ask(ctx context.Context) error {
	s.client.Close()
	const askers = 16
	work := make(chan *Answer)
	faults := make(chan error, 1)
	var wg sync.WaitGroup
	for range askers {
		wg.Go(func() {
			for a := range work {
				if err := s.ask(a); err != nil {
					select {
					case faults <- err:
					default: // the first says enough
					}
				}
			}
		})
	}
	s.mu.Lock()
	for i := range s.answers {
		if a := &s.answers[i]; (a.LeadID != "" || a.NoAnswer) && ctx.Err() == nil {
			work <- a
		}
	}
	s.mu.Unlock()
	close(work)
	wg.Wait()
	select {
	case err := <-faults:
		return err
	default:
		return ctx.Err()
	}
}

func (s *Seller) ask(a *Answer) error {
	call := Call{Method: "GET", Path: "/v1/leads/" + a.LeadID, Key: a.Intake.Key, Timeout: s.traffic.Timeout}
	if a.LeadID == "" {
		path := "/v1/post"
		if a.Direct {
			path = "/v1/direct"
		}
		call = Call{Method: "POST", Path: path, Key: a.Intake.Key, Idem: a.Idem, Body: a.body, Timeout: s.traffic.Timeout}
	}
	reply, err := s.client.Do(call)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot ask for lead number %d", a.Number), err)
	}
	a.Now = readVerdict(&reply)
	if a.LeadID == "" {
		a.LeadID = reply.Get("lead_id").String()
	}
	return nil
}
