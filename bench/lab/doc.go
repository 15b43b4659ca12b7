// Package lab asks which way of ranking bids earns the most, on a made-up market
// whose truth is known: buyers that take leads at different rates, aggressive
// bidders that take less of what they bid for, rejects that go together because
// a lead is bad, unknowns, returns, and posts that take time.
//
// Every policy sees the same leads, the same bids and the same draws (common
// random numbers), so a difference between two policies is the policies'. What a
// policy knows it has learnt from its own posts, by the counts that the exchange
// keeps; nothing of the truth leaks to it.
//
// The lab knows the pure rooms alone: it decides with the exchange's own code,
// but sells nothing and speaks to nobody.
package lab
