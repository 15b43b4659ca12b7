// Package live gathers the figures of a running house and shows them on one
// page: what the last ten minutes brought, second by second, and how each
// contract did since the start.
//
// It owns those figures and the page, nothing else. It never decides anything,
// never keeps a record it was given, and never learns a personal value: names
// in it come from the config. The figures are for looking at. They begin again
// at every start, and what an unknown outcome is later settled as is not among
// them; the journal is what money is counted from.
package live
