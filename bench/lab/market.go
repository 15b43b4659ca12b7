package lab

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"vendue/exchange"
)

// Cell is one kind of market.
type Cell struct {
	Name     string
	Attempts int           // a lead is posted to at most so many buyers
	Wait     time.Duration // and for so long
	Spread   float64       // how far the buyers' accept rates lie apart, in logits
	Greed    float64       // how much less an aggressive bidder takes, in logits per doubling of its bids
	Together float64       // how much rejects go together: the weight of the lead's own quality, in logits
	Unknown  float64       // the mean rate of unknown outcomes
	Return   float64       // the mean rate of returns
}

const (
	contracts = 8
	bidShare  = 0.7                    // of the leads that a contract bids on
	slowPost  = 800 * time.Millisecond // the median time that a post takes
	leadEvery = 20 * time.Second
)

// market is the truth behind one run.
type market struct {
	cell   Cell
	rng    *rand.Rand
	names  [contracts]*exchange.Contract
	level  [contracts]float64 // of its bids, in doublings
	accept [contracts]float64 // logit of its accept rate
	doubt  [contracts]float64
	back   [contracts]float64
}

// offer is one contract's bid on one lead, with the draws that decide how a post to it would end.
type offer struct {
	contract int
	bid      exchange.Money
	takes    bool
	doubtful bool // nobody will know whether it took it
	resolved bool // as sold, if doubtful
	returned bool
	took     time.Duration
}

func newMarket(cell Cell, seed uint64) *market {
	m := &market{cell: cell, rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range contracts {
		m.names[i] = &exchange.Contract{ID: exchange.ContractID("contract-" + strconv.Itoa(i))}
		m.level[i] = 0.4 * m.rng.NormFloat64()
		m.accept[i] = 0.8 + cell.Spread*m.rng.NormFloat64() - cell.Greed*m.level[i]
		m.doubt[i] = cell.Unknown * 2 * m.rng.Float64()
		m.back[i] = cell.Return * 2 * m.rng.Float64()
	}
	return m
}

// lead draws one lead's offers. The draws do not depend on what a policy does.
func (m *market) lead(dst []offer) []offer {
	quality := m.rng.NormFloat64()
	for i := range contracts {
		bids, noise := m.rng.Float64() < bidShare, m.rng.NormFloat64()
		o := offer{contract: i}
		o.bid = exchange.Money(20 * math.Exp2(m.level[i]+0.35*noise) * float64(exchange.Micro))
		logit := m.accept[i] + m.cell.Together*quality
		o.takes = m.rng.Float64() < 1/(1+math.Exp(-logit))
		o.doubtful = m.rng.Float64() < m.doubt[i]
		o.resolved = o.takes
		o.returned = m.rng.Float64() < m.back[i]
		o.took = time.Duration(float64(slowPost) * math.Exp(0.6*m.rng.NormFloat64()))
		if bids {
			dst = append(dst, o)
		}
	}
	return dst
}
