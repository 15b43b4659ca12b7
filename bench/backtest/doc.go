// Package backtest asks what another config would have done with the leads that
// came: it gives the auctions of an operator's own tape, in their order and at
// their time, to the exchange's own engine under that config, with buyers that
// answer as the tape and the journal say they did.
//
// It never guesses in silence. A contract that was not asked then has no bid now,
// and is counted; a post that no buyer got then ends by how often that contract
// takes leads, and what comes of it is told apart as estimated. What it does not
// know at all it says in the report's notes.
package backtest
