// Package fake stands in for what attribution is given, in tests and
// simulations: a journal, a keyspace that can crash and fail, a vault, ids.
//
// It never appears in the daemon.
package fake

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// ErrDisk is the fault of a space that was told to fail.
var ErrDisk = errors.New("disk fault")

// Space is a keyspace in memory. It is safe for concurrent use.
type Space struct {
	mu      sync.Mutex
	live    map[string]string
	durable map[string]string
	commits int
	failing bool
}

// NewSpace returns an empty space.
func NewSpace() *Space {
	return &Space{live: make(map[string]string), durable: make(map[string]string)}
}

// Get implements attribution.Space.
func (s *Space) Get(key []byte) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.live[string(key)]
	return []byte(v), ok, nil
}

// Scan implements attribution.Space.
func (s *Space) Scan(lo, hi []byte, fn func(k, v []byte) (bool, error)) error {
	s.mu.Lock()
	var keys []string
	for k := range s.live {
		if k >= string(lo) && k < string(hi) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	values := make([]string, len(keys))
	for i, k := range keys {
		values[i] = s.live[k]
	}
	s.mu.Unlock()
	for i, k := range keys {
		if more, err := fn([]byte(k), []byte(values[i])); err != nil || !more {
			return err
		}
	}
	return nil
}

type batch struct {
	set    map[string]*string
	ranges [][2]string // removed before anything is set
}

func (b *batch) DeleteRange(lo, hi []byte) {
	b.ranges = append(b.ranges, [2]string{string(lo), string(hi)})
}

func (b *batch) Set(key, value []byte) {
	v := string(value)
	b.set[string(key)] = &v
}

func (b *batch) Delete(key []byte) { b.set[string(key)] = nil }

// Commit implements attribution.Space.
func (s *Space) Commit(sync bool, fn func(postback.Batch)) error {
	b := &batch{set: make(map[string]*string)}
	fn(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		return ErrDisk
	}
	for _, r := range b.ranges {
		maps.DeleteFunc(s.live, func(k, _ string) bool { return k >= r[0] && k < r[1] })
	}
	for k, v := range b.set {
		if v == nil {
			delete(s.live, k)
		} else {
			s.live[k] = *v
		}
	}
	s.commits++
	if sync {
		s.durable = maps.Clone(s.live)
	}
	return nil
}

// Fail makes every commit fail, or work again.
func (s *Space) Fail(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = on
}

// Crash returns the space as a crash would leave it: without what was not synced.
func (s *Space) Crash() *Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Space{live: maps.Clone(s.durable), durable: maps.Clone(s.durable)}
}

// Commits counts the batches.
func (s *Space) Commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// Dump returns all that is live under keys that begin with one of prefixes.
func (s *Space) Dump(prefixes string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]string)
	for k, v := range s.live {
		if slices.Contains([]byte(prefixes), k[0]) {
			out[k] = v
		}
	}
	return out
}

// Put sets a key behind everyone's back.
func (s *Space) Put(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[key], s.durable[key] = value, value
}

// Journal is a journal in memory; all of it is durable.
type Journal struct {
	mu      sync.Mutex
	entries []exchange.Entry
	grown   chan struct{}
}

// NewJournal returns an empty journal.
func NewJournal() *Journal { return &Journal{grown: make(chan struct{})} }

// Append adds an event and returns its seq.
func (j *Journal) Append(at int64, ev exchange.Event) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	seq := uint64(len(j.entries) + 1)
	j.entries = append(j.entries, exchange.Entry{Seq: seq, At: at, Event: ev})
	close(j.grown)
	j.grown = make(chan struct{})
	return seq
}

// Entries returns all entries.
func (j *Journal) Entries() []exchange.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// Read implements attribution.Journal.
func (j *Journal) Read(from uint64, most int, fn func(exchange.Entry) error) (uint64, error) {
	entries := j.Entries()
	for ; most > 0 && from <= uint64(len(entries)); most-- {
		if err := fn(entries[from-1]); err != nil {
			return from, err
		}
		from++
	}
	return from, nil
}

// LeadEntries implements attribution.Journal.
func (j *Journal) LeadEntries(lead exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error) {
	for _, e := range j.Entries() {
		var of exchange.LeadID
		switch ev := e.Event.(type) {
		case *exchange.PostStarted:
			of = ev.LeadID
		case *exchange.PostEnded:
			of = ev.LeadID
		case *exchange.LegSettled:
			of = ev.LeadID
		case *exchange.LegGivenBack:
			of = ev.LeadID
		}
		if of == lead && !lead.IsZero() {
			dst = append(dst, e)
		}
	}
	return dst, nil
}

// WaitDurable implements attribution.Journal.
func (j *Journal) WaitDurable(ctx context.Context, after uint64) (uint64, error) {
	for {
		j.mu.Lock()
		n, grown := uint64(len(j.entries)), j.grown
		j.mu.Unlock()
		if n > after {
			return n, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// Vault hides text just enough that a test can see whether it was hidden.
type Vault struct{}

// Seal implements exchange.Vault.
func (Vault) Seal(text string) exchange.Sealed {
	if text == "" {
		return nil
	}
	return flip([]byte(text))
}

// Unseal implements exchange.Vault.
func (Vault) Unseal(s exchange.Sealed) (string, error) { return string(flip(s)), nil }

// Fingerprint implements exchange.Vault.
func (Vault) Fingerprint(...string) exchange.Fingerprint { return exchange.Fingerprint{1} }

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ 0xa5
	}
	return out
}

// NewMinter returns a minter whose ids are the same at every run.
func NewMinter() *exchange.Minter {
	var n uint64
	var mu sync.Mutex
	m, err := exchange.NewMinter([]byte("0123456789abcdef"), 1, func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		n++
		return n
	})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}
