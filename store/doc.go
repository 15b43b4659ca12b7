// Package store owns everything the house keeps on disk: the journal with its
// indexes, the snapshots, the projections of other rooms (spaces), the auction
// tape, and the keys of the data directory. It is the only room that imports Pebble.
//
// It never decides anything: it does not know what an event means beyond the
// keys by which it can be found. It never sees a clear personal value, and it
// never goes on after a failed write or sync of the journal.
package store
