package configs

import "vendue/exchange"

// weightMax bounds a weight: of any so many leads as a tier's weights sum to each contract has its own exactly.
const weightMax = 10_000

// weights reads how often it is each contract's turn in a weighted tier: one weight for each of its contracts.
func (l *loader) weights(tier, n *node, out *exchange.Tier) {
	switch weighted := out.Method == exchange.MethodWeighted; {
	case n == nil && weighted:
		l.fault(tier.pos, "a tier of method weighted needs weights: {CONTRACT: 3, ..}; with the same for all it is round_robin")
		return
	case n == nil:
		return
	case !weighted:
		l.fault(n.pos, "weights say how often it is whose turn; a tier of method %s knows none, expected method: weighted", out.Method)
		return
	}
	out.Weights = make(map[exchange.ContractID]uint32, len(out.Contracts))
	names := make([]string, 0, len(out.Contracts))
	for _, c := range out.Contracts {
		names = append(names, string(c.ID))
	}
	known := l.table(n, names...)
	for _, name := range names {
		if w := known.opt(name); w != nil {
			out.Weights[exchange.ContractID(name)] = uint32(l.integer(w, 1, 1, weightMax))
		} else if known.node.shape == shapeTable {
			l.fault(n.pos, "contract %q of this tier has no weight; expected a whole number from 1 to %d", name, weightMax)
		}
	}
}
