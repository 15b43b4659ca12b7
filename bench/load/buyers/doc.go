// Package buyers simulates many buyers, and the affiliates' trackers, in one
// thread and next to no time: a fixed answer after a fixed delay.
//
// It exists so that the other side of an auction does not dominate its cost. It
// keeps no receipts and checks nothing it is sent; bench/world's buyers do. A
// process serves one Config until it is killed.
package buyers
