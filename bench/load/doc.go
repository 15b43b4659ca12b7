// Package load sends HTTP requests to one address at a fixed rate or as fast as
// answers come, and tells how long each took and what the other process spent.
//
// It owns time: in an open loop a latency counts from the instant at which the
// request was due, so that a stalled server cannot slow the clock that judges
// it. It never decides what a figure means, starts no process and writes no report.
package load
