package app

import (
	"vendue/attribution"
	"vendue/store"
)

// space gives attribution its keyspace in the store: the same methods, each with its own room's batch.
type space struct{ *store.Space }

// Commit gathers fn's writes and applies them at once.
func (s space) Commit(sync bool, fn func(attribution.Batch)) error {
	return s.Space.Commit(sync, func(b *store.SpaceBatch) error { fn(b); return nil })
}
