// Package exchange is the vocabulary of the house: the types that two or more
// rooms share. It owns words, not behaviour: identifiers, money, leads, the
// market an operator configured, the questions put to buyers, and the events
// the journal keeps.
//
// It never does I/O, never reads a clock, never starts a goroutine, and it
// imports nothing else of the house.
package exchange
