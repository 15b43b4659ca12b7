package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// disk is a Store in memory that can lose its unsynced tail and fail on demand.
type disk struct {
	mu       sync.Mutex
	entries  []exchange.Entry
	synced   uint64
	byKey    map[exchange.Fingerprint]exchange.LeadID
	byPing   map[exchange.PingID]exchange.LeadID
	byPerson map[exchange.Fingerprint][]exchange.LeadID
	saved    []byte
	savedSeq uint64

	syncTakes  time.Duration // in a bubble only
	appends    int
	waits      int
	failAppend int // the n-th, 0 for none
	failWait   int
	before     func() // called at every append, under the engine's lock
}

var errDisk = errors.New("the disk is full")

func newDisk() *disk {
	return &disk{
		byKey: map[exchange.Fingerprint]exchange.LeadID{}, byPing: map[exchange.PingID]exchange.LeadID{},
		byPerson: map[exchange.Fingerprint][]exchange.LeadID{},
	}
}

// crash returns the disk as a loss of power would leave it.
func (d *disk) crash() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk()
	for _, e := range d.entries[:d.synced] {
		after.add(e)
	}
	after.synced, after.saved, after.savedSeq, after.syncTakes = d.synced, d.saved, d.savedSeq, d.syncTakes
	return after
}

func (d *disk) add(e exchange.Entry) {
	d.entries = append(d.entries, e)
	index := func(lead exchange.LeadID, f *exchange.LeadFacts, usesPing bool) {
		if !f.Idem.IsZero() {
			d.byKey[f.Idem] = lead
		}
		if usesPing && !f.Direct && !f.PingID.IsZero() {
			d.byPing[f.PingID] = lead
		}
	}
	switch ev := e.Event.(type) {
	case *exchange.PostStarted:
		if ev.Lead == nil {
			return
		}
		index(ev.LeadID, ev.Lead, true)
		if !ev.Lead.Person.IsZero() {
			d.byPerson[ev.Lead.Person] = append(d.byPerson[ev.Lead.Person], ev.LeadID)
		}
	case *exchange.LeadRefused:
		gone := []exchange.Reason{exchange.ReasonPingExpired, exchange.ReasonPingUnknown, exchange.ReasonPingUsed}
		index(ev.LeadID, &ev.Lead, !slices.Contains(gone, ev.Reason))
	}
}

func (d *disk) Append(at int64, events ...exchange.Event) (uint64, exchange.Ticket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil {
		d.before()
	}
	if d.appends++; d.appends == d.failAppend {
		return 0, nil, errDisk
	}
	if len(events) == 0 || len(events) > 1024 {
		return 0, nil, fmt.Errorf("%d events at once", len(events))
	}
	for _, ev := range events {
		d.add(exchange.Entry{Seq: uint64(len(d.entries) + 1), At: at, Event: ev})
	}
	last := uint64(len(d.entries))
	return last, &diskTicket{d, last}, nil
}

type diskTicket struct {
	d    *disk
	last uint64
}

func (t *diskTicket) Wait() error {
	if t.d.syncTakes > 0 {
		time.Sleep(t.d.syncTakes)
	}
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	if t.d.waits++; t.d.failWait > 0 && t.d.waits >= t.d.failWait {
		return errDisk
	}
	t.d.synced = max(t.d.synced, t.last)
	return nil
}

func (d *disk) Read(from uint64, most int, fn func(exchange.Entry) error) (uint64, error) {
	d.mu.Lock()
	part := d.entries[min(from-1, d.synced):min(from-1+uint64(most), d.synced)]
	d.mu.Unlock()
	for _, e := range part {
		if err := fn(e); err != nil {
			return from, err
		}
		from++
	}
	return from, nil
}

func (d *disk) LeadEntries(id exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		if leadOf(e.Event) == id && !id.IsZero() {
			dst = append(dst, e)
		}
	}
	return dst, nil
}

func (d *disk) lastLead() exchange.LeadID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return leadOf(d.entries[len(d.entries)-1].Event)
}

func leadOf(ev exchange.Event) exchange.LeadID {
	switch ev := ev.(type) {
	case *exchange.PostStarted:
		return ev.LeadID
	case *exchange.PostEnded:
		return ev.LeadID
	case *exchange.LeadRefused:
		return ev.LeadID
	case *exchange.LegSettled:
		return ev.LeadID
	case *exchange.LegConflict:
		return ev.LeadID
	case *exchange.ConflictClosed:
		return ev.LeadID
	case *exchange.LegGivenBack:
		return ev.LeadID
	}
	return exchange.LeadID{}
}

func (d *disk) LeadByKey(idem exchange.Fingerprint) (exchange.LeadID, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.byKey[idem]
	return id, ok, nil
}

func (d *disk) LeadByPing(ping exchange.PingID) (exchange.LeadID, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.byPing[ping]
	return id, ok, nil
}

func (d *disk) LeadsByPerson(p exchange.Fingerprint, since time.Time, fn func(exchange.LeadID) (bool, error)) error {
	d.mu.Lock()
	ids := slices.Clone(d.byPerson[p])
	d.mu.Unlock()
	slices.SortFunc(ids, func(a, b exchange.LeadID) int { return bytes.Compare(b[:], a[:]) })
	for _, id := range ids {
		if id.Time().Before(since) {
			return nil
		}
		if more, err := fn(id); err != nil || !more {
			return err
		}
	}
	return nil
}

func (d *disk) LoadSnapshot() (uint64, []byte, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.savedSeq, d.saved, d.saved != nil, nil
}

func (d *disk) SaveSnapshot(seq uint64, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if seq > d.synced {
		return fmt.Errorf("a snapshot of seq %d while %d is on disk", seq, d.synced)
	}
	d.savedSeq, d.saved = seq, data
	return nil
}

// startedOnDisk tells whether the attempt that a delivery belongs to is synced.
func (d *disk) startedOnDisk(del *exchange.Delivery) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries[:d.synced] {
		if ev, ok := e.Event.(*exchange.PostStarted); ok && ev.LeadID == del.LeadID && ev.Leg == del.Leg && ev.Contract == del.Contract.ID {
			return true
		}
	}
	return false
}

// plainVault hides nothing: the tests want to read what was sealed.
type plainVault struct{}

func (plainVault) Seal(text string) exchange.Sealed {
	if text == "" {
		return nil
	}
	return exchange.Sealed("sealed:" + text)
}

func (plainVault) Unseal(s exchange.Sealed) (string, error) {
	return strings.TrimPrefix(string(s), "sealed:"), nil
}

func (plainVault) Fingerprint(parts ...string) (f exchange.Fingerprint) {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint32(len(p)))
		_, _ = h.Write([]byte(p))
	}
	copy(f[:], h.Sum(nil))
	return f
}

// watcher counts what finished.
type watcher struct {
	auctions atomic.Int64
	attempts atomic.Int64
	last     atomic.Pointer[exchange.Attempt]
}

func (w *watcher) Auction(*exchange.Auction) { w.auctions.Add(1) }

func (w *watcher) Attempt(a *exchange.Attempt) {
	w.attempts.Add(1)
	w.last.Store(a)
}

// counter is a source of distinct numbers, the same in every run.
func counter(from uint64) func() uint64 {
	var n atomic.Uint64
	n.Store(from)
	return func() uint64 { return n.Add(0x9e3779b97f4a7c15) }
}

func testMinter(t testing.TB, from uint64) *exchange.Minter {
	m, err := exchange.NewMinter([]byte("0123456789abcdef"), 1, counter(from))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// openEngine returns an engine over d with the market installed, or what kept it from opening.
func openEngine(t testing.TB, d Store, m *exchange.Market, b Bidders, change func(*Config, *Deps)) (*Engine, error) {
	cfg := Config{}
	deps := Deps{
		Store: d, Vault: plainVault{}, Minter: testMinter(t, 0), Observer: &watcher{}, Log: zerolog.Nop(), Metrics: metrics.NewSet(),
	}
	if change != nil {
		change(&cfg, &deps)
	}
	e, err := New(cfg, deps)
	if err != nil {
		return nil, err
	}
	if m != nil {
		err = e.Install(m, b, m.Hash)
	}
	return e, err
}
