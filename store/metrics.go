package store

import (
	"github.com/VictoriaMetrics/metrics"
)

// MetricNames are all the metrics of this room.
var MetricNames = []string{
	metricAppendSeconds, metricSyncSeconds, metricEvents, metricJournalBytes, metricUndurable,
	metricStalled, metricUnindexed, metricIndexWait, metricIndexSwept,
	metricTapeRecords, metricTapeDropped, metricTapeBytes, metricTapeFaults, metricTapeQueue,
}

const (
	metricAppendSeconds = "vendue_store_append_seconds"           // encode and put into the journal's order, under the engine's lock
	metricSyncSeconds   = "vendue_store_sync_seconds"             // from the append to the events being on disk
	metricEvents        = "vendue_store_events_total"             // events on disk since the start
	metricJournalBytes  = "vendue_store_journal_bytes_total"      // events written since the start
	metricUndurable     = "vendue_store_undurable_events"         // appended and not yet on disk
	metricStalled       = "vendue_store_stalled_seconds"          // for so long events wait for the disk and none got there
	metricUnindexed     = "vendue_store_unindexed_events"         // whose index keys are in memory alone
	metricIndexWait     = "vendue_store_index_wait_seconds_total" // waited under the engine's lock because the disk was too far behind
	metricIndexSwept    = "vendue_store_index_swept_total"        // index keys that left because they can no longer matter
	metricTapeRecords   = "vendue_store_tape_records_total"       // written to the tape
	metricTapeDropped   = "vendue_store_tape_dropped_total"       // lost because the tape's writer was behind, or its disk failed
	metricTapeBytes     = "vendue_store_tape_bytes_total"         // of records written to the tape
	metricTapeFaults    = "vendue_store_tape_faults_total"        // failed writes of the tape
	metricTapeQueue     = "vendue_store_tape_waiting_records"     // in the queue of the tape's writer
)

type storeMetrics struct {
	set           *metrics.Set
	appendSeconds *metrics.Histogram
	syncSeconds   *metrics.Histogram
	events        *metrics.Counter
	journalBytes  *metrics.Counter
	indexWait     *metrics.FloatCounter
	tapeRecords   *metrics.Counter
	tapeDropped   *metrics.Counter
	tapeBytes     *metrics.Counter
	tapeFaults    *metrics.Counter
}

func newStoreMetrics(set *metrics.Set, s *Store) *storeMetrics {
	set.NewGauge(metricUndurable, func() float64 {
		// Durable is read first: it may only be behind.
		durable := s.Durable()
		return float64(s.Seq() - durable)
	})
	set.NewGauge(metricStalled, func() float64 { return s.stalled().Seconds() })
	set.NewGauge(metricUnindexed, func() float64 { return float64(s.index.waiting()) })
	set.NewGauge(metricIndexSwept, func() float64 { return float64(s.indexSwept.Load()) })
	set.NewGauge(metricTapeQueue, func() float64 { return float64(s.tape.waiting()) })
	return &storeMetrics{
		set:           set,
		appendSeconds: set.NewHistogram(metricAppendSeconds),
		syncSeconds:   set.NewHistogram(metricSyncSeconds),
		events:        set.NewCounter(metricEvents),
		journalBytes:  set.NewCounter(metricJournalBytes),
		indexWait:     set.NewFloatCounter(metricIndexWait),
		tapeRecords:   set.NewCounter(metricTapeRecords),
		tapeDropped:   set.NewCounter(metricTapeDropped),
		tapeBytes:     set.NewCounter(metricTapeBytes),
		tapeFaults:    set.NewCounter(metricTapeFaults),
	}
}

// unregister makes room for the metrics of the next store on the same set.
func (m *storeMetrics) unregister() {
	for _, name := range MetricNames {
		m.set.UnregisterMetric(name)
	}
}
