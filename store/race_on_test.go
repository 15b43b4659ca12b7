//go:build race

package store

// raceOn: under the race detector pools drop things at random, and an allocation budget says nothing.
const raceOn = true
