// Package schema types and normalises the fields of a lead, once, at the door.
// It owns what each kind of field accepts, its one canonical spelling, and
// which fields each phase takes.
//
// It is pure: no clock, no I/O, no goroutine. Its errors and faults say what
// was expected and never repeat a value, because a value may be personal.
package schema
