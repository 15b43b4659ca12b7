package store

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"vendue/exchange"
)

// packBytesMax bounds what one pack takes before Append waits for its turn; one
// Append more may still be in it. It is far below what Pebble takes in one batch.
const packBytesMax = 8 << 20

// gatherEventsMin is how many must have been told at once for the committer to
// wait for them. With fewer, who has its events appended waits for no one.
const gatherEventsMin = 16

// gatherStill is how often the committer lets others run, while nothing comes of
// it, before a pack leaves. At 50 it was no better.
const gatherStill = 8

// pack is the events that enter Pebble, and reach the disk, as one batch.
type pack struct {
	first uint64 // seq of the first
	ends  []int  // where each record ends in data
	data  []byte
	done  chan struct{} // closed when they are on disk, or never will be
	err   error         // why they are not; set before done closes
}

func (p *pack) last() uint64 { return p.first + uint64(len(p.ends)) - 1 }

// record returns the i-th record. It is valid while the pack is.
func (p *pack) record(i int) []byte {
	begin := 0
	if i > 0 {
		begin = p.ends[i-1]
	}
	return p.data[begin:p.ends[i]]
}

// cut takes back the records from the n-th on.
func (p *pack) cut(n int) {
	p.ends = p.ends[:n]
	if n == 0 {
		p.data = p.data[:0]
		return
	}
	p.data = p.data[:p.ends[n-1]]
}

// committer brings the events from Append onto the disk.
//
// Append leaves records in the open pack. The one goroutine takes the pack as
// soon as the one before is on disk: it leaves for Pebble as one batch with one
// sync, and all who wait for its events are told at once. So what came during a
// sync shares the next, the order of packs is that of seq, and of each Append
// all events are on disk or none. Reads by key find in the packs what Pebble
// does not hold yet: a pack goes only after Pebble shows it.
//
// If the disk is so slow that packBytesMax have gathered, Append waits (room).
// After a fault nothing leaves any more, and whoever waits is told why.
//
// mu guards open, leaving, spare and what is in the open pack, and spans an
// Append: an event is in its pack, in the index and counted by seq at once,
// before anybody can bring it onto the disk. It is taken before the index's.
// What is in the leaving pack does not change.
//
// Tried before: a batch of its own for each Append, whose sync Pebble shares
// among those that wait. It was half of the CPU of an event, most of it under
// the lock that decides. Tried too: to let one of those that wait commit the
// pack, which has no owner when nobody waits; and a wait of 0.7 ms between packs
// for more company, which paid while each sync held a thread and pays no more.
type committer struct {
	s    *Store
	wire wire // scratch of Append

	mu      sync.Mutex
	open    *pack
	leaving *pack // nil: none is
	spare   *pack // its buffers are used again

	running  bool          // the goroutine was started; set once, while opening
	appended chan struct{} // holds one: the open pack may have events
	taken    chan struct{} // holds one: the open pack is another one
	closing  chan struct{}
	ended    chan struct{}
}

func newCommitter(s *Store) *committer {
	return &committer{
		s: s, open: &pack{done: make(chan struct{})}, spare: new(pack),
		appended: make(chan struct{}, 1), taken: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}),
	}
}

// add puts the events into the open pack, all or none, and into the index.
func (c *committer) add(at int64, events []exchange.Event) (p *pack, last uint64, size int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, last = c.open, c.s.seq.Load()
	from, had := len(p.data), len(p.ends)
	if had == 0 {
		p.first = last + 1
	}
	sum := from // where the last record begins
	for _, ev := range events {
		last++
		sum = len(p.data)
		data, err := appendRecord(&c.wire, p.data, exchange.Entry{Seq: last, At: at, Event: ev})
		if err != nil {
			p.cut(had)
			return nil, 0, 0, err
		}
		p.data, p.ends = data, append(p.ends, len(data))
	}
	c.s.index.add(at, last+1-uint64(len(events)), events, binary.LittleEndian.Uint64(p.data[sum:]))
	c.s.seq.Store(last)
	return p, last, len(p.data) - from, nil
}

// hasRoom tells whether one more Append may add to the open pack.
func (c *committer) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open.data) < packBytesMax
}

// find appends the record of seq to dst, and false if it is not in a pack.
// It must come before the look into Pebble: what is not seen here is there by then.
func (c *committer) find(dst []byte, seq uint64) (rec []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range []*pack{c.open, c.leaving} {
		if p != nil && len(p.ends) > 0 && seq >= p.first && seq <= p.last() {
			return append(dst, p.record(int(seq-p.first))...), true
		}
	}
	return dst, false
}

// start starts the goroutine.
func (c *committer) start() {
	c.running = true
	go c.run()
}

// run is the goroutine. It ends at close, when all is on disk, or when the journal breaks.
func (c *committer) run() {
	defer close(c.ended)
	defer c.refuse() // Pebble may end this goroutine
	for {
		select {
		case <-c.appended:
		case <-c.closing:
			c.commit()
			return
		}
		told, ok := c.commit()
		if !ok {
			return
		}
		if told >= gatherEventsMin {
			c.gather(told)
		}
	}
}

// gather lets those who were just told of their events append the next ones, as
// long as some do. Where many append as fast as the disk takes them, they would
// else fall into two halves, each of which waits for the other's sync too.
func (c *committer) gather(told int) {
	had := c.waiting()
	all := had + told
	for still := 0; had < all && still < gatherStill; {
		runtime.Gosched()
		has := c.waiting()
		if still++; has > had {
			had, still = has, 0
		}
	}
}

// waiting is the events in the open pack.
func (c *committer) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open.ends)
}

// commit brings the open pack onto the disk and tells how many events it held,
// or false if the journal is broken.
func (c *committer) commit() (events int, ok bool) {
	p := c.take()
	if p == nil {
		return 0, true
	}
	batch := c.s.db.NewBatch()
	var key [1 + seqBytes]byte
	for i := range p.ends {
		if err := batch.Set(eventKey(key[:0], p.first+uint64(i)), p.record(i), nil); err != nil {
			_ = c.s.fault.fail(fmt.Errorf("cannot add to a batch: %w", err))
			return 0, false
		}
	}
	if c.s.fault.guard(func() error { return c.s.db.ApplyNoSyncWait(batch, pebble.Sync) }) != nil {
		return 0, false // the batch may still be in Pebble's hands: it is left to the collector
	}
	c.s.index.link()                         // while the disk works
	if err := batch.SyncWait(); err != nil { // Apply would make a fatal line of it
		_ = c.s.fault.fail(fmt.Errorf("cannot sync the journal: %w", err))
		return 0, false
	}
	if err := batch.Close(); err != nil {
		_ = c.s.fault.fail(fmt.Errorf("cannot close a batch: %w", err))
		return 0, false
	}
	c.s.raiseDurable(p.last())
	c.s.m.events.Add(len(p.ends))
	close(p.done)
	c.drop(p)
	return len(p.ends), true
}

// take makes the open pack the leaving one, if it holds anything.
func (c *committer) take() *pack {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open.ends) == 0 {
		return nil
	}
	c.leaving = c.open
	c.open = &pack{ends: c.spare.ends[:0], data: c.spare.data[:0], done: make(chan struct{})}
	notify(c.taken)
	return c.leaving
}

// drop lets go of the leaving pack, which Pebble shows now. Its tickets keep the
// pack; its buffers go to the next one but one.
func (c *committer) drop(p *pack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving, c.spare = nil, &pack{ends: p.ends, data: p.data}
}

// refuse tells all who wait, and who will, why nothing reaches the disk any more.
func (c *committer) refuse() {
	why := c.s.fault.check()
	if why == nil {
		why = ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range []*pack{c.leaving, c.open} {
		if p != nil {
			p.err = why
			close(p.done)
		}
	}
}

// close brings what is left onto the disk and ends the goroutine.
func (c *committer) close() {
	if !c.running {
		return
	}
	close(c.closing)
	select {
	case <-c.ended:
	case <-c.s.fault.stuck:
	}
}
