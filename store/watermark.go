package store

import (
	"context"
	"sync"
	"sync/atomic"
)

// watermark is a number that only rises, and on which readers can wait.
//
// While nobody waits, a rise costs the writer one compare-and-swap and one
// load. A waiter first announces itself, then takes the channel, then looks at
// the number again: either it sees the rise, or the writer sees the waiter.
//
// A condition variable was the simpler design; it cannot be left when a context ends.
type watermark struct {
	value   atomic.Uint64
	waiting atomic.Int64
	mu      sync.Mutex
	rise    chan struct{} // guarded by mu; closed and replaced at a rise that someone waits for
}

func (m *watermark) raise(to uint64) {
	for {
		was := m.value.Load()
		if was >= to {
			return
		}
		if m.value.CompareAndSwap(was, to) {
			break
		}
	}
	if m.waiting.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rise != nil {
		close(m.rise)
		m.rise = nil
	}
}

func (m *watermark) next() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rise == nil {
		m.rise = make(chan struct{})
	}
	return m.rise
}

// wait returns the number once it is above after, or why it no longer will be.
func (m *watermark) wait(ctx context.Context, after uint64, broken, closed <-chan struct{}) (uint64, error) {
	m.waiting.Add(1)
	defer m.waiting.Add(-1)
	for {
		rise := m.next()
		if v := m.value.Load(); v > after {
			return v, nil
		}
		select {
		case <-rise:
		case <-ctx.Done():
			return m.value.Load(), ctx.Err()
		case <-broken:
			return m.value.Load(), ErrBroken
		case <-closed:
			return m.value.Load(), ErrClosed
		}
	}
}
