// Package bidder is how the house speaks to buyers: it asks many for a bid at
// once, posts a lead to one, and says how each ended. It owns every connection
// to a buyer and the only HTTP client that buyers ever meet.
//
// It never decides who may be asked or who wins, never retries a post of which
// a byte may have left, never follows a redirect, and never lets an answer that
// came for one auction be read by another. What is said on the wire is the work
// of the pure functions in bidder/adapters.
package bidder
