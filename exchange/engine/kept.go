package engine

import (
	"slices"
	"strings"

	"vendue/exchange"
)

// leadBytes is about what a kept lead takes of memory.
func leadBytes(d *exchange.Delivery) int64 {
	n := keptLeadBytes + len(d.Token)
	for i := range d.Lead.Values {
		n += 48 + len(d.Lead.Values[i].Text)
	}
	if d.Consent != nil {
		n += len(d.Consent.Raw)
	}
	return int64(n)
}

// cloneDelivery copies a delivery that outlives its request: its texts are views of the request's body.
func cloneDelivery(d *exchange.Delivery) *exchange.Delivery {
	out := *d
	out.Token = strings.Clone(d.Token)
	out.Lead = &exchange.Lead{Vertical: d.Lead.Vertical, Values: slices.Clone(d.Lead.Values)}
	for i := range out.Lead.Values {
		out.Lead.Values[i].Text = strings.Clone(out.Lead.Values[i].Text)
	}
	if d.Consent != nil {
		// The named buyers were heeded when the lead was first sent; the buyer is told what it was told then.
		out.Consent = &exchange.Consent{Given: d.Consent.Given, Raw: strings.Clone(d.Consent.Raw)}
	}
	return &out
}

// doubtQueue is a heap of doubts, the next due first.
type doubtQueue []*doubt

// Len counts the doubts.
func (q doubtQueue) Len() int { return len(q) }

// Less orders by when they are due.
func (q doubtQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

// Swap keeps each doubt's place.
func (q doubtQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push appends a doubt.
func (q *doubtQueue) Push(x any) {
	d := x.(*doubt)
	d.place = len(*q)
	*q = append(*q, d)
}

// Pop takes the last doubt off.
func (q *doubtQueue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	d.place = -1
	return d
}

// size counts the kept leads and their bytes.
func (r *resolver) size() (leads int, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept, r.keptBytes
}
