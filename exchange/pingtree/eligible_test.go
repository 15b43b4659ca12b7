package pingtree

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vendue/exchange"
)

// usedCaps is a CapsView for tests: the same use in whatever window.
type usedCaps map[int]int64

func (u usedCaps) Used(handle int, _ int64) int64 { return u[handle] }

func (usedCaps) Bound(c *exchange.Cap, _ time.Time) (int64, int64) {
	return c.Limit, exchange.Unscheduled
}

// scan is the slow, obvious eligibility: it looks at each contract, condition and cap in turn.
func scan(c *exchange.Contract, v *exchange.Vertical, q *Query) exchange.Reason {
	if c.Paused {
		return exchange.ReasonPaused
	}
	if q.Test && !c.CanTest {
		return exchange.ReasonTest
	}
	if q.Sale != exchange.SaleAny && c.Sale != q.Sale {
		return exchange.ReasonSaleType
	}
	named := len(q.Named) == 0
	for _, name := range q.Named {
		named = named || strings.EqualFold(strings.TrimSpace(name), strings.TrimSpace(c.Buyer.Name))
	}
	if !named {
		return exchange.ReasonNotNamed
	}
	if c.Vertical != v {
		return exchange.ReasonFiltered
	}
	if _, ok := exchange.Matches(c.Where, q.Lead); !ok {
		return exchange.ReasonFiltered
	}
	if !c.Hours.Open(q.Now, q.Zone) {
		return exchange.ReasonHours
	}
	if q.Test {
		return exchange.ReasonNone
	}
	for _, stop := range slices.Concat(c.Caps, c.Buyer.Caps) {
		used := q.Caps.Used(stop.Handle, stop.Per.Start(q.Now, q.Zone))
		full := used+1 > stop.Limit
		if stop.Unit == exchange.CapSpend {
			full = used >= stop.Limit || (c.Price > 0 && used+int64(c.Price) > stop.Limit)
		}
		if full {
			return stop.Full
		}
	}
	return exchange.ReasonNone
}

var (
	testStates = []string{"AZ", "CA", "NV", "NY", "TX"}
	testNames  = []string{"Acme Insurance LLC", "Zenith Direct", "Straße & Söhne", "KELVIN", "  Spaced Out "}
)

func testVertical() *exchange.Vertical {
	v := &exchange.Vertical{ID: "auto", Slots: map[string]int{}, Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip}, {Name: "state", Kind: exchange.FieldState},
		{Name: "age", Kind: exchange.FieldInt}, {Name: "insured", Kind: exchange.FieldBool},
		{Name: "amount", Kind: exchange.FieldDecimal},
	}}
	for i := range v.Fields {
		v.Slots[v.Fields[i].Name] = i
	}
	return v
}

func drawText(t *rapid.T, slot int) string {
	switch slot {
	case 0:
		return strconv.Itoa(85000 + rapid.IntRange(0, 60).Draw(t, "zip"))
	case 1:
		return rapid.SampledFrom(testStates).Draw(t, "state")
	case 2, 4:
		return strconv.Itoa(rapid.IntRange(-3, 12).Draw(t, "number"))
	default:
		return strconv.FormatBool(rapid.Bool().Draw(t, "bool"))
	}
}

func drawValue(t *rapid.T, slot int) exchange.Value {
	if rapid.IntRange(0, 5).Draw(t, "unset") == 0 {
		return exchange.Value{}
	}
	text := drawText(t, slot)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && text == "true" {
		n = 1
	}
	if slot == 4 {
		n = rapid.SampledFrom([]int64{n, -1 << 63, 1<<63 - 1}).Draw(t, "extreme")
	}
	return exchange.Value{Text: text, Num: n, Set: true}
}

func drawCondition(t *rapid.T, fields int) exchange.Condition {
	slot := rapid.IntRange(0, fields-1).Draw(t, "slot")
	c := exchange.Condition{Slot: slot, Kind: exchange.ConditionKind(rapid.IntRange(1, 3).Draw(t, "kind"))}
	if c.Kind == exchange.ConditionRange {
		c.HasMin, c.HasMax = rapid.Bool().Draw(t, "hasMin"), rapid.Bool().Draw(t, "hasMax")
		bound := rapid.OneOf(rapid.Int64Range(-3, 12), rapid.SampledFrom([]int64{-1 << 63, 1<<63 - 1}))
		c.Min, c.Max = bound.Draw(t, "min"), bound.Draw(t, "max")
		return c
	}
	if slot == 0 && rapid.Bool().Draw(t, "range") { // of zip codes, as a config spells it out
		first := rapid.IntRange(85000, 85060).Draw(t, "first")
		for zip := first; zip <= first+rapid.IntRange(0, 40).Draw(t, "more"); zip++ {
			c.Texts = append(c.Texts, strconv.Itoa(zip))
		}
	}
	for range rapid.IntRange(0, 6).Draw(t, "texts") {
		c.Texts = append(c.Texts, drawText(t, slot)) // the same value twice is possible, and meant
	}
	return c
}

func drawCaps(t *rapid.T, full exchange.Reason, u usedCaps) []exchange.Cap {
	var caps []exchange.Cap
	for range rapid.IntRange(0, 2).Draw(t, "caps") {
		c := exchange.Cap{Per: exchange.Window(rapid.IntRange(1, 5).Draw(t, "per")), Unit: exchange.CapUnit(rapid.IntRange(1, 2).Draw(t, "unit")),
			Limit: rapid.Int64Range(0, 12).Draw(t, "limit"), Full: full, Handle: len(u)}
		if c.Unit == exchange.CapSpend && full == exchange.ReasonCapContract {
			c.Full = exchange.ReasonBudget
		}
		u[c.Handle] = rapid.Int64Range(0, 13).Draw(t, "used")
		caps = append(caps, c)
	}
	return caps
}

// drawMarket draws contracts of a vertical, some of another, and how much of their caps is used.
func drawMarket(t *rapid.T, v *exchange.Vertical) ([]*exchange.Contract, usedCaps) {
	used := usedCaps{}
	other := &exchange.Vertical{ID: "home", Fields: make([]exchange.Field, 40)}
	var buyers []*exchange.Buyer
	for i, name := range testNames {
		buyers = append(buyers, &exchange.Buyer{ID: exchange.BuyerID(strconv.Itoa(i)), Name: name, Caps: drawCaps(t, exchange.ReasonCapBuyer, used)})
	}
	var contracts []*exchange.Contract
	for i := range rapid.SampledFrom([]int{0, 1, 5, 64, 65, 150}).Draw(t, "contracts") {
		c := &exchange.Contract{ID: exchange.ContractID(strconv.Itoa(i)), Vertical: v, Buyer: rapid.SampledFrom(buyers).Draw(t, "buyer"),
			Sale: exchange.SaleExclusive, CanTest: true, Pinged: true}
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			c.Paused, c.CanTest = rapid.Bool().Draw(t, "paused"), rapid.Bool().Draw(t, "canTest")
			c.Sale = exchange.SaleShared
			c.Caps = drawCaps(t, exchange.ReasonCapContract, used)
			c.Hours = exchange.Hours{Set: true, Days: [7]bool{true, false, true, true, false, true, false},
				FromMin: rapid.IntRange(0, 1439).Draw(t, "from"), UntilMin: rapid.IntRange(0, 1440).Draw(t, "until")}
			c.Price, c.Pinged = exchange.Money(rapid.IntRange(1, 9).Draw(t, "price")), false
		}
		for range rapid.IntRange(0, 3).Draw(t, "conditions") {
			c.Where = append(c.Where, drawCondition(t, len(v.Fields)))
		}
		if rapid.IntRange(0, 19).Draw(t, "foreign") == 0 {
			c.Vertical, c.Where = other, []exchange.Condition{{Slot: 39, Kind: exchange.ConditionNotIn}}
		}
		contracts = append(contracts, c)
	}
	return contracts, used
}

func drawQuery(t *rapid.T, v *exchange.Vertical, used usedCaps) *Query {
	q := &Query{
		Lead: &exchange.Lead{Vertical: v}, Zone: time.UTC, Caps: used,
		Now:  time.Unix(1_700_000_000+rapid.Int64Range(0, 14*86400).Draw(t, "now"), 0),
		Sale: exchange.SaleKind(rapid.IntRange(0, 2).Draw(t, "sale")), Test: rapid.Bool().Draw(t, "test"),
		StandingOnly: rapid.IntRange(0, 4).Draw(t, "standing") == 0,
	}
	for slot := range v.Fields {
		q.Lead.Values = append(q.Lead.Values, drawValue(t, slot))
	}
	if rapid.IntRange(0, 2).Draw(t, "consent") == 0 {
		q.Named = rapid.SliceOfN(rapid.SampledFrom([]string{" acme insurance llc", "ZENITH DIRECT", "STRAßE & sÖHNE", "Kelvin", "nobody", "spaced out"}), 1, 3).Draw(t, "named")
	}
	return q
}

func TestTheIndexEqualsTheScan(t *testing.T) {
	var s Scratch // one for all runs: what a run leaves behind must not reach the next
	rapid.Check(t, func(t *rapid.T) {
		v := testVertical()
		contracts, used := drawMarket(t, v)
		tree := &exchange.Tree{ID: "auto", Tiers: make([]exchange.Tier, rapid.IntRange(1, 3).Draw(t, "tiers"))}
		for i := range tree.Tiers { // a contract may stand in several tiers
			tree.Tiers[i].Contracts = contracts[rapid.IntRange(0, len(contracts)).Draw(t, "start"):]
		}
		compiled := Compile(tree, v)
		for range rapid.IntRange(1, 8).Draw(t, "queries") {
			q := drawQuery(t, v, used)
			s.Reset()
			var excluded [exchange.ReasonCount]int
			var got, want [][]*exchange.Contract
			for i := range tree.Tiers {
				got, want = append(got, compiled.Eligible(i, q, &s)), append(want, nil)
				for _, c := range tree.Tiers[i].Contracts {
					if q.StandingOnly && c.Price == 0 {
						continue
					}
					reason := scan(c, v, q)
					if why, detail := compiled.Why(c, q); why != reason || (detail == "") != (why == exchange.ReasonNone) {
						t.Fatalf("Why(%s) = %s %q, the scan says %s", c.ID, why, detail, reason)
					}
					if reason == exchange.ReasonNone {
						want[i] = append(want[i], c)
					} else {
						excluded[reason]++
					}
				}
			}
			for i := range want { // compared last: a later tier must not overwrite what an earlier one returned
				if !slices.Equal(got[i], want[i]) || len(got[i]) != cap(got[i]) { // with room to append, a caller could write over a later tier
					t.Fatalf("tier %d: got %v, want %v", i, ids(got[i]), ids(want[i]))
				}
			}
			if s.Excluded != excluded {
				t.Fatalf("excluded %v, want %v", s.Excluded, excluded)
			}
		}
	})
}

func ids(contracts []*exchange.Contract) []exchange.ContractID {
	var out []exchange.ContractID
	for _, c := range contracts {
		out = append(out, c.ID)
	}
	return out
}

func TestNamesFoldAsEqualFoldDoes(t *testing.T) {
	letters := rapid.StringOf(rapid.RuneFrom([]rune(" aAkKsSſKßΣσςİıéÉ\t")))
	rapid.Check(t, func(t *rapid.T) {
		a, b := letters.Draw(t, "a"), letters.Draw(t, "b")
		want := strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
		if got := string(appendFolded(nil, a)) == string(appendFolded([]byte(nil), b)); got != want {
			t.Fatalf("%q and %q: folded equal %t, want %t", a, b, got, want)
		}
	})
}

func TestAContractListedTwiceInATierStandsOnce(t *testing.T) {
	v := testVertical()
	c := &exchange.Contract{ID: "c", Vertical: v, Buyer: &exchange.Buyer{}, Where: []exchange.Condition{{Slot: 1, Kind: exchange.ConditionIn, Texts: []string{"AZ"}}}}
	tree := Compile(&exchange.Tree{Tiers: []exchange.Tier{{Contracts: []*exchange.Contract{c, c}}}}, v)
	q := &Query{Zone: time.UTC, Lead: &exchange.Lead{Vertical: v, Values: make([]exchange.Value, len(v.Fields))}}
	var s Scratch
	if got := tree.Eligible(0, q, &s); len(got) != 0 || s.Excluded[exchange.ReasonFiltered] != 1 {
		t.Errorf("got %v and %v, want the contract filtered once", ids(got), s.Excluded)
	}
	q.Lead.Values[1] = exchange.Value{Text: "AZ", Set: true}
	s.Reset()
	if got := tree.Eligible(0, q, &s); len(got) != 1 || s.Excluded[exchange.ReasonFiltered] != 0 {
		t.Errorf("got %v and %v, want the contract once", ids(got), s.Excluded)
	}
}

func TestAContractOutsideTheTreeIsNeverEligible(t *testing.T) {
	v := testVertical()
	tree := Compile(&exchange.Tree{ID: "auto"}, v)
	c := &exchange.Contract{ID: "stray", Vertical: v, Buyer: &exchange.Buyer{}}
	reason, detail := tree.Why(c, &Query{Zone: time.UTC, Lead: &exchange.Lead{Vertical: v}})
	if reason != exchange.ReasonFiltered || detail != "not listed in tree auto" {
		t.Errorf("got %s %q", reason, detail)
	}
}
