// Package spec writes a campaign's posting instructions: what a platform hands
// its sellers, made from the config that runs, so that it is never out of date.
//
// It knows what the campaign says to its seller and nothing of what it says to
// buyers: no margin, no contract, no key. It has no clock and does no I/O.
package spec
