// Package track is the public HTTP face of attribution: clicks, pixels and
// conversions.
//
// It owns the parameters of a click and their aliases, the redirect and the
// first-party cookie. A click is in the journal before its consumer is sent
// on; where the journal cannot take it, the consumer is sent on without a
// click id, and that is counted.
//
// It never redirects to a place that is not an offer's own landing page, never
// decides credit, and never writes what it was given into a log or a metric.
package track
