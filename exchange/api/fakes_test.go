package api

import (
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/api/apitest"
	"vendue/exchange/api/skin"
	"vendue/exchange/engine"
)

// memory is a journal that is always on disk, until it is broken.
type memory struct {
	mu      sync.Mutex
	seq     uint64
	byLead  map[exchange.LeadID][]exchange.Entry
	byKey   map[exchange.Fingerprint]exchange.LeadID
	byPing  map[exchange.PingID]exchange.LeadID
	persons map[exchange.Fingerprint][]exchange.LeadID
	broken  atomic.Bool
}

func newMemory() *memory {
	return &memory{
		byLead: map[exchange.LeadID][]exchange.Entry{}, byKey: map[exchange.Fingerprint]exchange.LeadID{},
		byPing: map[exchange.PingID]exchange.LeadID{}, persons: map[exchange.Fingerprint][]exchange.LeadID{},
	}
}

type synced struct{}

func (synced) Wait() error { return nil }

func (m *memory) Append(at int64, events ...exchange.Event) (uint64, exchange.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken.Load() {
		return 0, nil, errors.New("the disk is full")
	}
	for _, ev := range events {
		m.seq++
		var lead exchange.LeadID
		var facts *exchange.LeadFacts
		switch ev := ev.(type) {
		case *exchange.PostStarted:
			lead, facts = ev.LeadID, ev.Lead
			if facts != nil && !facts.Person.IsZero() {
				m.persons[facts.Person] = append(m.persons[facts.Person], lead)
			}
		case *exchange.PostEnded:
			lead = ev.LeadID
		case *exchange.LeadRefused:
			lead, facts = ev.LeadID, &ev.Lead
		case *exchange.LegSettled:
			lead = ev.LeadID
		case *exchange.LegConflict:
			lead = ev.LeadID
		case *exchange.LegGivenBack:
			lead = ev.LeadID
		}
		m.byLead[lead] = append(m.byLead[lead], exchange.Entry{Seq: m.seq, At: at, Event: ev})
		if facts != nil {
			m.byKey[facts.Idem] = lead
			if _, used := m.byPing[facts.PingID]; !used {
				m.byPing[facts.PingID] = lead
			}
		}
	}
	return m.seq, synced{}, nil
}

func (m *memory) Read(from uint64, _ int, _ func(exchange.Entry) error) (uint64, error) {
	return from, nil
}

func (m *memory) LeadEntries(id exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append(dst, m.byLead[id]...), nil
}

func (m *memory) LeadByKey(idem exchange.Fingerprint) (exchange.LeadID, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, ok := m.byKey[idem]
	return id, ok, nil
}

func (m *memory) LeadByPing(ping exchange.PingID) (exchange.LeadID, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, ok := m.byPing[ping]
	return id, ok, nil
}

func (m *memory) LeadsByPerson(p exchange.Fingerprint, _ time.Time, fn func(exchange.LeadID) (bool, error)) error {
	m.mu.Lock()
	ids := m.persons[p]
	m.mu.Unlock()
	for i := len(ids) - 1; i >= 0; i-- {
		if more, err := fn(ids[i]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *memory) LoadSnapshot() (uint64, []byte, bool, error) { return 0, nil, false, nil }
func (m *memory) SaveSnapshot(uint64, []byte) error           { return nil }

// vault seals by writing a word before, so that tests can read along.
type vault struct{}

func (vault) Seal(text string) exchange.Sealed {
	if text == "" {
		return nil
	}
	return exchange.Sealed("sealed:" + text)
}

func (vault) Unseal(s exchange.Sealed) (string, error) {
	return strings.TrimPrefix(string(s), "sealed:"), nil
}

func (vault) Fingerprint(parts ...string) (f exchange.Fingerprint) {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	copy(f[:], sum[:])
	return f
}

// buyer bids 21.50 and accepts, or does as it is told.
type buyer struct {
	outcome atomic.Int32 // 0: accepted
	seen    atomic.Pointer[exchange.Delivery]
	hold    chan struct{}
}

func (b *buyer) Ask(a *exchange.Ask) {
	for i := range a.Answers {
		a.Answers[i].Bid = 21_500_000
	}
}

func (b *buyer) Post(d *exchange.Delivery) exchange.Receipt {
	b.seen.Store(d)
	if b.hold != nil {
		<-b.hold
	}
	switch o := exchange.Outcome(b.outcome.Load()); o {
	case exchange.OutcomeNone, exchange.OutcomeAccepted:
		return exchange.Receipt{Outcome: exchange.OutcomeAccepted, BuyerRef: "ref", RedirectURL: `https://acme.example/?a=1&b="2"`}
	default:
		return exchange.Receipt{Outcome: o, Reason: exchange.ReasonPostRejected}
	}
}

func (b *buyer) Status(*exchange.Inquiry) exchange.Finding { return exchange.Finding{} }

type nobody struct{}

func (nobody) Auction(*exchange.Auction) {}
func (nobody) Attempt(*exchange.Attempt) {}

const (
	sellerKey   = "seller-key"
	testKey     = "test-key"
	buyerKey    = "buyer-key"
	otherKey    = "other-key"
	operatorKey = "operator-key"
)

// house is the face over a real engine with made-up disk and buyers.
type house struct {
	t      testing.TB
	api    *API
	engine *engine.Engine
	disk   *memory
	buyer  *buyer
	doc    *apitest.Document
}

func newHouse(t testing.TB, change func(*exchange.Market)) *house {
	h := &house{t: t, disk: newMemory(), buyer: new(buyer), doc: parseDocument(t)}
	var n atomic.Uint64
	minter, err := exchange.NewMinter([]byte("0123456789abcdef"), 1, func() uint64 { return n.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	set := metrics.NewSet()
	h.engine, err = engine.New(engine.Config{}, engine.Deps{
		Store: h.disk, Vault: vault{}, Minter: minter, Observer: nobody{}, Log: zerolog.Nop(), Metrics: set,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := testMarket()
	if change != nil {
		change(m)
	}
	if err := h.engine.Install(m, h.buyer, ""); err != nil {
		t.Fatal(err)
	}
	h.api = New(Deps{Engine: h.engine, Vault: vault{}, Log: zerolog.Nop(), Metrics: set})
	h.api.Use(Config{Skins: testSkins(m)})
	return h
}

// testSkins puts north-auto into every skin; LeadsPedia's has a key of its own.
func testSkins(m *exchange.Market) *skin.Set {
	var intakes []*skin.Intake
	for i := range skin.Words() {
		cfg := skin.Config{
			Format: skin.Format(i + 1), Campaign: "north-auto", Seller: "north", ID: "33",
			Aliases: map[string]string{"Driver Age": "age", "Pub_Name": "source.affiliate", "Order": "idempotency_key"},
			Values:  map[string]map[string]string{"insured": {"Currently": "yes"}},
		}
		if cfg.Format == skin.LeadsPedia {
			cfg.Key = sha256.Sum256([]byte("campaign-key"))
		}
		if cfg.Format == skin.LeadConduit {
			cfg.Source = "their-source"
			intakes = append(intakes, skin.NewIntake(cfg, m.Verticals["auto"]))
			cfg.Source = ""
		}
		intakes = append(intakes, skin.NewIntake(cfg, m.Verticals["auto"]))
	}
	return skin.NewSet(intakes)
}

func testMarket() *exchange.Market {
	v := &exchange.Vertical{ID: "auto", Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
		{Name: "age", Kind: exchange.FieldInt, Ping: exchange.NeedRequired, HasMin: true, Min: 16, HasMax: true, Max: 110},
		{Name: "insured", Kind: exchange.FieldBool, Ping: exchange.NeedOptional},
		{Name: "last_name", Kind: exchange.FieldText, Post: exchange.NeedRequired, Personal: true, HasMax: true, Max: 80},
		{Name: "phone", Kind: exchange.FieldPhone, Post: exchange.NeedRequired, Personal: true},
		{Name: "email", Kind: exchange.FieldEmail, Post: exchange.NeedOptional, Personal: true},
		{Name: "accepted", Kind: exchange.FieldText, Ping: exchange.NeedOptional},
	}, Slots: map[string]int{}}
	for i, f := range v.Fields {
		v.Slots[f.Name] = i
	}
	v.Duplicate = exchange.DuplicateRule{Fields: []int{v.Slots["phone"]}, Within: 3600}
	acme := &exchange.Buyer{ID: "acme", Name: `Acme "Best" LLC`}
	c := &exchange.Contract{
		ID: "west", Buyer: acme, Vertical: v, Sale: exchange.SaleExclusive, Pinged: true, CanTest: true,
		PingTimeout: 100 * time.Millisecond, PostTimeout: time.Second, ReturnWithin: 48 * time.Hour,
	}
	tree := &exchange.Tree{ID: "auto", Tiers: []exchange.Tier{{Method: exchange.MethodAuction, Contracts: []*exchange.Contract{c}}}}
	north, south := &exchange.Seller{ID: "north"}, &exchange.Seller{ID: "south"}
	campaign := func(id exchange.CampaignID, s *exchange.Seller) *exchange.Campaign {
		return &exchange.Campaign{
			ID: id, Seller: s, Vertical: v, Tree: tree, Window: 250 * time.Millisecond, PostWait: 5 * time.Second, QuoteTTL: 5 * time.Minute,
			Margin: exchange.Margin{Rate: 200_000}, ShowBuyers: true,
		}
	}
	m := &exchange.Market{
		Hash: "hash", Currency: exchange.Currency{Code: "USD", MinorDigits: 2}, Zone: time.UTC,
		Verticals: map[exchange.VerticalID]*exchange.Vertical{"auto": v},
		Sellers:   map[exchange.SellerID]*exchange.Seller{"north": north, "south": south},
		Campaigns: map[exchange.CampaignID]*exchange.Campaign{"north-auto": campaign("north-auto", north), "south-auto": campaign("south-auto", south)},
		Buyers:    map[exchange.BuyerID]*exchange.Buyer{"acme": acme}, Contracts: []*exchange.Contract{c},
		ByName: map[exchange.ContractID]*exchange.Contract{"west": c}, Keys: map[[32]byte]exchange.Principal{},
	}
	m.Keys[sha256.Sum256([]byte(sellerKey))] = exchange.Principal{Seller: north}
	m.Keys[sha256.Sum256([]byte(testKey))] = exchange.Principal{Seller: north, Test: true}
	m.Keys[sha256.Sum256([]byte(otherKey))] = exchange.Principal{Seller: south}
	m.Keys[sha256.Sum256([]byte(operatorKey))] = exchange.Principal{Operator: "ops"}
	m.Keys[sha256.Sum256([]byte(buyerKey))] = exchange.Principal{Buyer: acme}
	return m
}

const jsonType, formType = "application/json", "application/x-www-form-urlencoded"

// do sends one request, such as "GET /v1/leads/x", through the handler and holds
// the answer against the OpenAPI document. Headers are names and values in turn.
func (h *house) do(request, key, contentType, body string, headers ...string) *fasthttp.RequestCtx {
	method, path, _ := strings.Cut(request, " ")
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(new(fasthttp.Request), nil, nil)
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(path)
	ctx.Request.Header.SetContentType(contentType)
	if key != "" {
		ctx.Request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		ctx.Request.Header.Set(headers[i], headers[i+1])
	}
	ctx.Request.SetBodyString(body)
	h.api.Handle(ctx)
	err := h.doc.Check(&apitest.Answer{
		Method: method, Path: path, Status: ctx.Response.StatusCode(), Body: ctx.Response.Body(),
		Header: func(name string) string { return string(ctx.Response.Header.Peek(name)) },
	})
	if err != nil {
		h.t.Errorf("not as the document says: %v\n%s", err, ctx.Response.Body())
	}
	return ctx
}
