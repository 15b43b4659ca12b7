//go:build race

package bidder

const allocBudget = 60 // the race detector empties pools at random
