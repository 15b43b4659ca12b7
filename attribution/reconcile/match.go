package reconcile

import (
	"slices"
	"strings"
	"time"

	"vendue/exchange"
)

// Class says how a conversion of ours, a line of theirs, or the two together stand.
type Class uint8

// The classes, in the order in which a report tells them.
const (
	Matched Class = iota
	AmountDiffers
	StatusDiffers
	OursNotSent       // no notice of it has reached their tracker: none was due, it waits, or it lacked a value
	OursRefused       // their tracker refused or rejected it, or never took it
	OursAbsent        // their tracker took it, and their list does not have it
	OursOutsideWindow // their tracker took it outside the window
	OursTimezoneEdge  // it is so near an end of the window that another time zone would move it out
	TheirsUnknown     // no conversion of ours has any of its ids
	TheirsDuplicate   // an earlier line has the conversion already
	TheirsAfterReturn // it was returned, or taken back, and they still count it
	TheirsOutsideWindow
	TheirsTimezoneEdge
	ClassCount // how many there are; not a class
)

var classWords = [ClassCount]string{
	"matched", "amount_differs", "status_differs", "only_ours.not_sent", "only_ours.refused", "only_ours.accepted_but_absent",
	"only_ours.outside_window", "only_ours.timezone_edge", "only_theirs.unknown", "only_theirs.duplicate", "only_theirs.after_return",
	"only_theirs.outside_window", "only_theirs.timezone_edge",
}

// String returns the class's word.
func (c Class) String() string {
	if c >= ClassCount {
		return "invalid"
	}
	return classWords[c]
}

// MarshalText returns the word.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// The statuses of a conversion, and how far its notice came.
const (
	Pending  = "pending"
	Approved = "approved"
	Reversed = "reversed" // of ours; theirs say rejected, which is read as this

	ToldNot      = ""          // no notice was due
	ToldNotSent  = "not_sent"  // it lacked a value
	ToldWaiting  = "waiting"   // it is still being tried
	ToldDead     = "dead"      // it was refused, rejected or never taken
	ToldAccepted = "delivered" // it was taken
)

// Ours is one credit of the affiliate's.
type Ours struct {
	ConversionID string         `json:"conversion_id"`
	LeadID       string         `json:"lead_id,omitempty"`
	ClickID      string         `json:"click_id,omitempty"`     // of ours
	AffClickID   string         `json:"aff_click_id,omitempty"` // the affiliate's own
	Offer        string         `json:"offer,omitempty"`
	At           time.Time      `json:"at"` // of the sale
	Amount       exchange.Money `json:"amount"`
	Currency     string         `json:"currency"`
	Status       string         `json:"status"`
	Told         string         `json:"told,omitempty"`    // how far the notice of it came
	ToldAt       time.Time      `json:"told_at,omitzero"`  // when it was taken
	Reason       string         `json:"reason,omitempty"`  // why it is dead or not sent
	Verdict      string         `json:"verdict,omitempty"` // what the tracker said at last
}

// counts is what it adds to our sum: nothing once it is reversed.
func (o *Ours) counts() exchange.Money {
	if o.Status == Reversed {
		return 0
	}
	return o.Amount
}

// Theirs is one line of the affiliate's list.
type Theirs struct {
	Line   int            `json:"line"`
	IDs    []string       `json:"ids"` // whatever may name a conversion, the surest first
	Amount exchange.Money `json:"amount"`
	Status string         `json:"status,omitempty"` // empty: the list does not say
}

func (t *Theirs) counts() exchange.Money {
	if t.Status == Reversed {
		return 0
	}
	return t.Amount
}

// Window is the time that is reconciled: From is in it, Until is not. What is
// nearer than Edge to either end may be out of it in another time zone.
type Window struct {
	From, Until time.Time
	Edge        time.Duration
}

func (w *Window) has(t time.Time) bool { return !t.Before(w.From) && t.Before(w.Until) }

func (w *Window) nearEdge(t time.Time) bool {
	return t.Sub(w.From).Abs() < w.Edge || w.Until.Sub(t).Abs() < w.Edge
}

// Row is one finding. Difference is theirs less ours.
type Row struct {
	Class      Class          `json:"class"`
	Ours       *Ours          `json:"ours,omitempty"`
	Theirs     *Theirs        `json:"theirs,omitempty"`
	Difference exchange.Money `json:"difference"`
	Detail     string         `json:"detail,omitempty"`
}

// Sum is what a class comes to. Rows beyond those that match have one side only.
type Sum struct {
	Class      Class          `json:"class"`
	Rows       int            `json:"rows"`
	Ours       exchange.Money `json:"ours"`
	Theirs     exchange.Money `json:"theirs"`
	Difference exchange.Money `json:"difference"`
}

// Report is what a reconciliation found. Difference = Theirs - Ours = the sum over Classes.
type Report struct {
	Classes     []Sum          `json:"classes"` // every class, also an empty one
	Conversions int            `json:"conversions"`
	Lines       int            `json:"lines"`
	Ours        exchange.Money `json:"ours"`
	Theirs      exchange.Money `json:"theirs"`
	Difference  exchange.Money `json:"difference"`
	Rows        []Row          `json:"rows"` // theirs in the order of their list, then what only we have
}

// Agrees tells whether all that there is matches.
func (r *Report) Agrees() bool { return r.Classes[Matched].Rows == len(r.Rows) }

// Match holds a list against our conversions, which may lie outside the window:
// a line that names one of those is not unknown. A line takes the first
// conversion that one of its ids names and no line before it took: of several,
// as of one click, one in the window before others, and of those one of the same amount.
func Match(w Window, ours []Ours, theirs []Theirs) *Report {
	m := matcher{window: w, ours: ours, taken: make([]bool, len(ours)), byID: make(map[string][]int)}
	for i := range ours {
		o := &ours[i]
		for _, id := range [...]string{o.ConversionID, o.LeadID, o.ClickID, o.AffClickID} {
			if key := keyOf(id); key != "" && !slices.Contains(m.byID[key], i) {
				m.byID[key] = append(m.byID[key], i)
			}
		}
	}
	r := &Report{}
	for i := range theirs {
		r.Rows = append(r.Rows, m.line(&theirs[i]))
	}
	for i := range ours {
		if !m.taken[i] && w.has(ours[i].At) {
			r.Rows = append(r.Rows, m.alone(&ours[i]))
		}
	}
	r.sum()
	return r
}

// keyOf makes ids alike that are written in another case or among spaces.
func keyOf(id string) string { return strings.ToLower(strings.TrimSpace(id)) }

type matcher struct {
	window Window
	ours   []Ours
	taken  []bool
	byID   map[string][]int
}

func (m *matcher) line(t *Theirs) Row {
	i, named := m.find(t)
	row := Row{Theirs: t}
	switch {
	case i < 0 && named:
		row.Class = TheirsDuplicate
		return row
	case i < 0:
		row.Class = TheirsUnknown
		return row
	}
	o := &m.ours[i]
	m.taken[i] = true
	row.Ours = o
	switch {
	case !m.window.has(o.At) && m.window.nearEdge(o.At):
		row.Class = TheirsTimezoneEdge
	case !m.window.has(o.At):
		row.Class = TheirsOutsideWindow
	case o.Status == Reversed && t.Status != Reversed:
		row.Class = TheirsAfterReturn
	case t.Status != "" && t.Status != o.Status:
		row.Class, row.Detail = StatusDiffers, "ours "+o.Status+", theirs "+t.Status
	case t.counts() != o.counts():
		row.Class = AmountDiffers
	default:
		row.Class = Matched
	}
	return row
}

// find returns the conversion that a line takes; -1 if none is left, and whether there was one.
func (m *matcher) find(t *Theirs) (best int, named bool) {
	best = -1
	rank := func(i int) int {
		n := 0
		if m.window.has(m.ours[i].At) {
			n += 2
		}
		if m.ours[i].counts() == t.counts() {
			n++
		}
		return n
	}
	for _, id := range t.IDs {
		for _, i := range m.byID[keyOf(id)] {
			named = true
			if !m.taken[i] && (best < 0 || rank(i) > rank(best)) {
				best = i
			}
		}
		if best >= 0 {
			break
		}
	}
	return best, named
}

// alone says why only we have a conversion.
func (m *matcher) alone(o *Ours) Row {
	row := Row{Ours: o}
	switch {
	case o.Status == Reversed:
		row.Class, row.Detail = Matched, "taken back, and not in their list"
	case o.Told == ToldNot:
		row.Class, row.Detail = OursNotSent, "no postback was due"
	case o.Told == ToldNotSent || o.Told == ToldWaiting:
		row.Class, row.Detail = OursNotSent, o.Told+" "+o.Reason
	case o.Told != ToldAccepted:
		row.Class, row.Detail = OursRefused, o.Reason
	case !m.window.has(o.ToldAt):
		row.Class, row.Detail = OursOutsideWindow, "told "+o.ToldAt.Format(time.RFC3339)
	case m.window.nearEdge(o.At) || m.window.nearEdge(o.ToldAt):
		row.Class, row.Detail = OursTimezoneEdge, o.Verdict
	default:
		row.Class, row.Detail = OursAbsent, o.Verdict
	}
	row.Detail = strings.TrimSpace(row.Detail)
	return row
}

// sum adds the rows up. A conversion outside the window is no part of our sum, whoever has it.
func (r *Report) sum() {
	r.Classes = make([]Sum, ClassCount)
	for c := range r.Classes {
		r.Classes[c].Class = Class(c)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		sum := &r.Classes[row.Class]
		var ours, theirs exchange.Money
		if row.Theirs != nil {
			theirs = row.Theirs.counts()
			r.Lines++
		}
		if row.Ours != nil && row.Class != TheirsOutsideWindow && row.Class != TheirsTimezoneEdge {
			ours = row.Ours.counts()
			r.Conversions++
		}
		row.Difference = theirs - ours
		sum.Rows++
		sum.Ours, sum.Theirs, sum.Difference = sum.Ours+ours, sum.Theirs+theirs, sum.Difference+row.Difference
		r.Ours, r.Theirs = r.Ours+ours, r.Theirs+theirs
	}
	r.Difference = r.Theirs - r.Ours
}
