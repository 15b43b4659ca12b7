// Package sim runs the whole daemon in a bubble of virtual time, between
// simulated sellers, buyers and trackers, over a network and on a disk in
// memory. A seed picks the market, the traffic and what goes wrong: manners,
// broken connections, disk errors, power losses at the worst instants, reloads,
// restarts, callbacks and returns that come twice, late or wrong. After each run everyone's
// books are compared and the invariants of DESIGN.md checked.
//
// It holds only tests. A seed fixes what is drawn, not the order in which
// goroutines run: a seed that failed fails again often, not always. What the
// failed run left (journal and log) is kept in a directory that the failure names.
package sim
