// Package reconcile holds an affiliate's own list of conversions against the
// house's credits: what agrees, what differs, what only one side has, and why.
//
// It is pure: it reads the list and values, and never the journal, a clock or
// the network. Its classes are whole: each of our conversions in the window and
// each line of theirs is in exactly one, so their differences sum to the difference.
package reconcile
