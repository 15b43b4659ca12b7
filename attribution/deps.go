package attribution

import (
	"context"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// Journal is the durable part of the journal. It is safe for concurrent use.
type Journal interface {
	// Read calls fn for at most max durable entries from seq from on, in order, and
	// returns the seq to go on from: from itself if there was none. An error of fn
	// ends the reading and is returned.
	Read(from uint64, max int, fn func(exchange.Entry) error) (next uint64, err error)
	// WaitDurable blocks until the durable seq is above after, and returns it.
	WaitDurable(ctx context.Context, after uint64) (uint64, error)
	// LeadEntries appends every entry that names the lead to dst, in order. They may be not yet durable.
	LeadEntries(lead exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error)
}

// Space is attribution's own keyspace: see postback.Space.
type Space = postback.Space

// Batch gathers writes: see postback.Batch.
type Batch = postback.Batch

// Recorder journals an event.
type Recorder interface {
	// Record returns when the event is on disk. An error means that it may not be.
	Record(ev exchange.Event) error
}

// Deps is what the room stands on.
type Deps struct {
	Journal Journal
	Space   Space
	Vault   exchange.Vault
	Clock   exchange.Clock // nil: time.Now
	Log     zerolog.Logger
	Metrics *metrics.Set
	// Answer is what a seller is told of a lead: see postback.Deps. It is first called after Start.
	Answer func(lead exchange.LeadID, seq uint64) ([]byte, error)
}
