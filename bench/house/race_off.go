//go:build !race

package house

// Race tells whether the suite runs under the race detector; the binary is then built with it, too.
const Race = false
