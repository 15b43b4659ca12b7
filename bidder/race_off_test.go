//go:build !race

package bidder

const allocBudget = 0
