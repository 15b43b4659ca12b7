// Package peers holds what the exchange is measured against: bare fan-outs that
// take a request, ask every buyer for a bid, post to the best one and answer.
// They authenticate nobody, parse no lead, know no cap, and but for the logged
// one write nothing down.
//
// They are honest about what a fan-out needs (kept connections, a deadline, the
// best bid wins) and about nothing else. Nothing of the product uses them.
package peers
