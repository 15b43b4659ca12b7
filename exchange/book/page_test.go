package book

import (
	"encoding/binary"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"vendue/exchange"
)

// drawQuote draws any quote of a campaign in a market, with legs of its contracts and of others.
func drawQuote(t *rapid.T, m *exchange.Market, c *exchange.Campaign) *Quote {
	text := rapid.StringN(0, 300, 400)
	amount := func(label string) exchange.Money { return exchange.Money(rapid.Int64().Draw(t, label)) }
	q := &Quote{
		Market: m, Campaign: c, Ref: text.Draw(t, "ref"), LeadHash: rapid.Uint64().Draw(t, "hash"), Test: rapid.Bool().Draw(t, "test"),
		Sale: exchange.SaleKind(rapid.IntRange(0, 2).Draw(t, "sale")), Script: rapid.Byte().Draw(t, "script"),
		Tier: rapid.IntRange(0, 300).Draw(t, "tier"), Places: rapid.IntRange(0, 300).Draw(t, "places"), Price: amount("price"),
		Opened: noon.Add(time.Duration(rapid.IntRange(0, int(10*time.Second)).Draw(t, "opened"))), Told: rapid.Int64().Draw(t, "told"),
		Values: make([]exchange.Value, rapid.IntRange(0, 5).Draw(t, "values")),
		Legs:   make([]QuoteLeg, rapid.IntRange(0, 5).Draw(t, "legs")),
	}
	binary.BigEndian.PutUint64(q.PingID[:], rapid.Uint64().Draw(t, "ping"))
	q.Expires = q.Opened.Add(time.Duration(rapid.IntRange(int(time.Minute), int(time.Hour)).Draw(t, "life")))
	for i := range q.Values {
		if rapid.Bool().Draw(t, "set") {
			q.Values[i] = exchange.Value{Set: true, Text: text.Draw(t, "value"), Num: rapid.Int64().Draw(t, "num")}
		}
	}
	if rapid.Bool().Draw(t, "has source") {
		q.Source = exchange.Source{Affiliate: text.Draw(t, "affiliate"), Coupon: "c", Subs: [5]string{0: text.Draw(t, "sub"), 4: "last"}}
	}
	if rapid.Bool().Draw(t, "has consent") {
		q.Consent = exchange.Consent{Given: true, NamedBuyers: rapid.SliceOfN(text, 1, 3).Draw(t, "named"), Raw: text.Draw(t, "raw")}
	}
	if rapid.Bool().Draw(t, "has turn") {
		q.Turn = &HeldTurn{of: newTurns(), released: true}
	}
	for i := range q.Legs {
		q.Legs[i] = QuoteLeg{Bid: amount("bid"), Payout: amount("payout"), Token: text.Draw(t, "token"), ExpiresIn: time.Duration(rapid.Int64().Draw(t, "expires"))}
		switch n := rapid.IntRange(-1, len(m.Contracts)-1).Draw(t, "contract"); {
		case n >= 0:
			q.Legs[i].Contract = m.Contracts[n]
		default: // with the index of another, of one beyond all, or of none
			q.Legs[i].Contract = &exchange.Contract{ID: "apart", Index: rapid.IntRange(-1, len(m.Contracts)).Draw(t, "index")}
		}
	}
	return q
}

// A quote comes back as it was opened, whatever else is kept and swept beside it.
func TestQuotesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := NewQuotes(1 << 30)
		opened := map[exchange.PingID]*Quote{}
		for range rapid.IntRange(1, 3).Draw(t, "markets") {
			m := &exchange.Market{}
			for i := range rapid.IntRange(0, 4).Draw(t, "contracts") {
				m.Contracts = append(m.Contracts, &exchange.Contract{Index: i})
			}
			campaign := &exchange.Campaign{ID: "c", Seller: &exchange.Seller{ID: "s"}}
			for range rapid.IntRange(1, 6).Draw(t, "quotes") {
				quote := drawQuote(t, m, campaign)
				if opened[quote.PingID] == nil {
					q.Open(quote)
					opened[quote.PingID] = quote
				}
			}
		}
		now := noon.Add(time.Duration(rapid.IntRange(0, int(time.Hour)).Draw(t, "now")))
		q.Sweep(now)
		for ping, want := range opened {
			got := q.Get(ping, now)
			if !now.Before(want.Expires) {
				if got != nil {
					t.Fatalf("a quote lives after its end")
				}
				continue
			}
			if got == nil || !got.Opened.Equal(want.Opened) || !got.Expires.Equal(want.Expires) {
				t.Fatalf("opened %+v, got %+v", want, got)
			}
			got.Opened, got.Expires = want.Opened, want.Expires
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("opened %+v, got %+v", want, got)
			}
			for i := range got.Legs {
				if got.Legs[i].Contract != want.Legs[i].Contract {
					t.Fatalf("leg %d is of another contract", i)
				}
			}
		}
	})
}

// tenLegs is a quote as a usual ping leaves it.
func tenLegs(n uint64) *Quote {
	m := &exchange.Market{}
	q := &Quote{Market: m, Campaign: &exchange.Campaign{ID: "c", Seller: &exchange.Seller{ID: "s"}}, Opened: noon, Expires: noon.Add(5 * time.Minute), Told: noon.UnixNano(), Places: 1, Price: 8_000_000}
	for _, text := range [...]string{"94107", "CA", "34", "F", "good", "false", "true", "Example Mutual", "26", "San Francisco"} {
		q.Values = append(q.Values, exchange.Value{Set: true, Text: text})
	}
	for i := range 10 {
		m.Contracts = append(m.Contracts, &exchange.Contract{Index: i})
		q.Legs = append(q.Legs, QuoteLeg{Contract: m.Contracts[i], Bid: 10_000_000, Payout: 8_000_000})
	}
	binary.LittleEndian.PutUint64(q.PingID[:], n)
	return q
}

// What keeps quotes must stay as small as it is, and without a pointer for each quote.
func TestQuotesAreSmall(t *testing.T) {
	const quoteBytesMax = 400
	q := NewQuotes(1 << 30)
	q.Open(tenLegs(1))
	if _, bytes := q.Size(); bytes > quoteBytesMax {
		t.Errorf("a quote of ten legs counts as %d bytes, want at most %d", bytes, quoteBytesMax)
	}
	if index := unsafe.Sizeof(place{}) + unsafe.Sizeof(exchange.PingID{}); 2*index > entryBytes {
		t.Errorf("the index takes up to %d bytes a quote, which counts it as %d", 2*index, entryBytes)
	}
	quote := tenLegs(1)
	for n := range uint64(2000) { // the pages' first growth apart
		binary.LittleEndian.PutUint64(quote.PingID[:], n)
		q.Open(quote)
	}
	if got := testing.AllocsPerRun(2000, func() {
		n := binary.LittleEndian.Uint64(quote.PingID[:]) + 1
		binary.LittleEndian.PutUint64(quote.PingID[:], n)
		q.Open(quote)
	}); got > 0 && !raceOn { // the detector has pools lose things on purpose
		t.Errorf("%v allocations a quote, want less than one", got)
	}
}

func BenchmarkQuotes(b *testing.B) {
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		q, quote := NewQuotes(1<<40), tenLegs(0)
		for n := uint64(0); b.Loop(); n++ {
			binary.LittleEndian.PutUint64(quote.PingID[:], n%100_000)
			if n%100_000 == 0 {
				q = NewQuotes(1 << 40)
			}
			q.Open(quote)
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		q, quote := NewQuotes(1<<40), tenLegs(0)
		q.Open(quote)
		for b.Loop() {
			q.Get(quote.PingID, noon)
		}
	})
}

// Few quotes hold a turn, or legs that no market lists. Those must not fill more memory than the limit says.
func TestWhatFewQuotesHaveCounts(t *testing.T) {
	size := func(change func(*Quote)) int64 {
		q, quote := NewQuotes(1<<30), tenLegs(1)
		change(quote)
		q.Open(quote)
		_, bytes := q.Size()
		q.Sweep(noon.Add(time.Hour))
		if _, left := q.Size(); left != 0 {
			t.Errorf("%d bytes are counted for ever", left)
		}
		return bytes
	}
	plain := size(func(*Quote) {})
	turn := size(func(q *Quote) { q.Turn = &HeldTurn{of: newTurns(), released: true} })
	if least := int64(unsafe.Sizeof(HeldTurn{}) + 2*unsafe.Sizeof(extra{})); turn < plain+least {
		t.Errorf("a turn counts as %d bytes, want at least %d", turn-plain, least)
	}
	apart := size(func(q *Quote) {
		q.Legs[0].Contract, q.Legs[1].Contract = &exchange.Contract{Index: -1}, &exchange.Contract{Index: -1}
	})
	if least := int64(2 * unsafe.Sizeof(exchange.Contract{})); apart < plain+least {
		t.Errorf("two contracts of its own count as %d bytes, want at least %d", apart-plain, least)
	}
}

// A campaign may stand in two markets, each of which numbers its contracts by itself.
func TestQuotesOfACampaignInTwoMarkets(t *testing.T) {
	q, first, second := NewQuotes(1<<30), tenLegs(1), tenLegs(2)
	second.Campaign = first.Campaign
	q.Open(first)
	q.Open(second)
	for _, want := range []*Quote{first, second} {
		if got := q.Get(want.PingID, noon); got.Market != want.Market || got.Legs[3].Contract != want.Legs[3].Contract {
			t.Error("a leg is of the other market's contract")
		}
	}
}
