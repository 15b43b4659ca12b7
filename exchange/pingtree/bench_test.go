package pingtree

import (
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"vendue/exchange"
)

// mixed builds a tree of n contracts with mixed filters, fifty zips each for a
// half of them out of 40,000, and a lead of which some pass.
func mixed(n int) (*exchange.Tree, *exchange.Vertical, *Query) {
	rng := rand.New(rand.NewPCG(1, 2))
	v := testVertical()
	var contracts []*exchange.Contract
	for i := range n {
		c := &exchange.Contract{ID: exchange.ContractID("c" + strconv.Itoa(i)), Vertical: v, Sale: exchange.SaleExclusive, Pinged: true,
			Buyer: &exchange.Buyer{Name: "Buyer " + strconv.Itoa(i/3)}, Hours: exchange.Hours{Set: true, Days: [7]bool{true, true, true, true, true, true, true}, FromMin: 0, UntilMin: 1440},
			Caps: []exchange.Cap{{Per: exchange.PerDay, Unit: exchange.CapLeads, Limit: 500, Full: exchange.ReasonCapContract, Handle: i}}}
		from := rng.Int64N(60)
		c.Where = append(c.Where, exchange.Condition{Slot: 2, Kind: exchange.ConditionRange, HasMin: true, Min: from, HasMax: true, Max: from + 30})
		low := rng.Int64N(60_000_000_000)
		c.Where = append(c.Where, exchange.Condition{Slot: 4, Kind: exchange.ConditionRange, HasMin: true, Min: low})
		switch i % 4 {
		case 0, 2:
			zips := exchange.Condition{Slot: 0, Kind: exchange.ConditionIn}
			for range 50 {
				zips.Texts = append(zips.Texts, strconv.Itoa(10000+rng.IntN(40000)))
			}
			c.Where = append(c.Where, zips)
		case 1:
			k := rng.IntN(len(testStates) - 1)
			c.Where = append(c.Where, exchange.Condition{Slot: 1, Kind: exchange.ConditionIn, Texts: testStates[k : k+2]})
		default:
			c.Where = append(c.Where, exchange.Condition{Slot: 1, Kind: exchange.ConditionNotIn, Texts: []string{"CA"}},
				exchange.Condition{Slot: 3, Kind: exchange.ConditionIn, Texts: []string{strconv.FormatBool(i%8 == 3)}})
		}
		contracts = append(contracts, c)
	}
	q := &Query{Zone: time.UTC, Now: time.Unix(1_790_000_000, 0), Sale: exchange.SaleExclusive, Caps: sliceCaps(make([]int64, n)),
		Lead: &exchange.Lead{Vertical: v, Values: []exchange.Value{
			{Text: "23456", Set: true}, {Text: "AZ", Set: true}, {Text: "41", Num: 41, Set: true}, {Text: "true", Num: 1, Set: true}, {Text: "30000", Num: 30_000_000_000, Set: true}}}}
	return &exchange.Tree{Tiers: []exchange.Tier{{Contracts: contracts}}}, v, q
}

type sliceCaps []int64

func (s sliceCaps) Used(handle int, _ int64) int64 { return s[handle] }

func (sliceCaps) Bound(c *exchange.Cap, _ time.Time) (int64, int64) {
	return c.Limit, exchange.Unscheduled
}

func benchmarkEligible(b *testing.B, n int) {
	raw, v, q := mixed(n)
	tree := Compile(raw, v)
	var s Scratch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Reset()
		q.Now = q.Now.Add(time.Millisecond) // every ping has its own instant
		tree.Eligible(0, q, &s)
	}
	b.ReportMetric(float64(len(s.list)), "candidates")
}

func BenchmarkEligible10(b *testing.B)    { benchmarkEligible(b, 10) }
func BenchmarkEligible100(b *testing.B)   { benchmarkEligible(b, 100) }
func BenchmarkEligible10000(b *testing.B) { benchmarkEligible(b, 10_000) }

func BenchmarkScan10000(b *testing.B) {
	raw, v, q := mixed(10_000)
	for b.Loop() {
		for _, c := range raw.Tiers[0].Contracts {
			scan(c, v, q)
		}
	}
}

func BenchmarkCompile10000(b *testing.B) {
	raw, v, _ := mixed(10_000)
	var before, after runtime.MemStats
	var tree *Tree
	for b.Loop() {
		tree = Compile(raw, v)
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	runtime.KeepAlive(tree)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(raw)
	b.ReportMetric(float64(before.HeapAlloc-after.HeapAlloc)/(1<<20), "MB/tree")
}

func TestEligibleDoesNotAllocate(t *testing.T) {
	for _, n := range []int{10, 100, 10_000} {
		raw, v, q := mixed(n)
		q.Named = []string{" buyer 0", "Buyer 1", "BUYER 2", "buyer 30"}
		tree := Compile(raw, v)
		var s Scratch
		got := testing.AllocsPerRun(100, func() {
			s.Reset()
			q.Named = q.Named[:4-len(q.Named)%2] // now and then fewer
			q.Now = q.Now.Add(time.Hour)
			tree.Eligible(0, q, &s)
		})
		if got != 0 {
			t.Errorf("%d contracts: %v allocations, want 0", n, got)
		}
	}
}

// The index must stay near the size of the conditions: a set per zip would take 50 MB here.
func TestTheIndexStaysSmall(t *testing.T) {
	raw, v, _ := mixed(10_000)
	tr := &Compile(raw, v).tiers[0]
	words := 0
	for i := range tr.texts {
		for _, row := range tr.texts[i].row {
			words += len(row.mask) + (len(row.flips)+1)/2 + 6
		}
	}
	for i := range tr.ranges {
		words += len(tr.ranges[i].masks)*len(tr.all) + (len(tr.ranges[i].flips)+1)/2 + 3*len(tr.ranges[i].points)
	}
	if mb := words * 8 >> 20; mb > 8 {
		t.Errorf("the index takes %d MB, want at most 8", mb)
	}
}

// The index must be worth having wherever it runs: a scan of ten thousand
// contracts takes over a hundred times as long. Microseconds are the
// benchmarks' to tell; a test that counted them would measure the machine.
func TestTheIndexIsQuick(t *testing.T) {
	raw, v, q := mixed(10_000)
	tree := Compile(raw, v)
	var s Scratch
	quick, slow := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for range 5 { // the least of several: whoever else runs can only add
		began := time.Now()
		for range 20 {
			s.Reset()
			q.Now = q.Now.Add(time.Millisecond)
			tree.Eligible(0, q, &s)
		}
		quick = min(quick, time.Since(began)/20)
		began = time.Now()
		for _, c := range raw.Tiers[0].Contracts {
			scan(c, v, q)
		}
		slow = min(slow, time.Since(began))
	}
	if slow < 20*quick {
		t.Errorf("the index takes %v, a scan %v: want a twentieth at most", quick, slow)
	}
}
