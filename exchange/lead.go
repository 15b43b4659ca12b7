package exchange

import "strings"

// FieldKind is the type of a vertical's field.
type FieldKind uint8

// The kinds.
const (
	FieldText FieldKind = iota + 1
	FieldZip
	FieldState
	FieldPhone
	FieldEmail
	FieldInt
	FieldDecimal
	FieldBool
	FieldEnum
	FieldDate
	FieldURL
	FieldIP
	FieldCity
	FieldRegion
)

var fieldKindWords = [...]string{"", "text", "zip", "state", "phone", "email", "int", "decimal", "bool", "enum", "date", "url", "ip", "city", "region"}

// String returns the word the config uses.
func (k FieldKind) String() string {
	if int(k) >= len(fieldKindWords) {
		return "invalid"
	}
	return fieldKindWords[k]
}

// Bare tells whether a value of this kind is written in JSON without quotes.
func (k FieldKind) Bare() bool { return k == FieldInt || k == FieldDecimal || k == FieldBool }

// Need says whether a phase takes a field.
type Need uint8

// The needs.
const (
	NeedNot Need = iota
	NeedOptional
	NeedRequired
)

// Field is one field of a vertical.
type Field struct {
	Name     string
	Kind     FieldKind
	Ping     Need // whether a ping carries it
	Post     Need // whether the whole lead carries it; a field of the ping is always part of the lead
	Personal bool // such a field goes to the winner and nowhere else; never part of a ping
	HasMin   bool
	HasMax   bool
	Min, Max int64    // int: units; decimal: micro-units; text: Max is a length in characters
	Values   []string // enum: the allowed values, canonical
}

// Vertical is one kind of lead. Its fields are numbered: a lead's values stand in slots of the same order.
type Vertical struct {
	ID        VerticalID
	Fields    []Field
	Slots     map[string]int // field name to slot
	Duplicate DuplicateRule
	Suppress  []*Suppression // whom nobody is sold
}

// DuplicateScope says whom an earlier sale of the same person stops.
type DuplicateScope uint8

// The scopes.
const (
	ScopeAnyone DuplicateScope = iota
	ScopeBuyer
)

// DuplicateRule says when two leads are the same person. No fields: no rule.
type DuplicateRule struct {
	Fields []int // slots; all must be set for the rule to apply
	Within int64 // seconds
	Scope  DuplicateScope
}

// Value is one normalised value of a lead.
type Value struct {
	Text string // canonical text; for a Bare kind it is JSON as it stands
	Num  int64  // int: the number; decimal: micro-units; bool: 0 or 1; date: days since 1970-01-01; enum: index into Values
	Set  bool
}

// Lead is the normalised lead. Values has one slot per field of the vertical.
type Lead struct {
	Vertical *Vertical
	Values   []Value
}

// Source says who brought the consumer, in the seller's words. Only names known to the market and ids of
// our own making leave it unsealed.
type Source struct {
	Affiliate string
	Offer     string
	ClickID   string
	Cookie    string // of the house's own cookie, where the seller's pages share its domain
	Coupon    string
	Subs      [5]string
}

// IsZero tells whether nothing is known.
func (s *Source) IsZero() bool { return *s == Source{} }

// Consent is what the consumer agreed to. Raw is the object as given, compact JSON, for the winner alone.
type Consent struct {
	Given       bool
	NamedBuyers []string // empty: no bound
	Raw         string
}

// Allows tells whether a buyer of this name may have the lead.
func (c *Consent) Allows(name string) bool {
	if len(c.NamedBuyers) == 0 {
		return true
	}
	for _, n := range c.NamedBuyers {
		if strings.EqualFold(strings.TrimSpace(n), strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// SaleKind says to how many buyers a lead may go.
type SaleKind uint8

// LegsDefault is how many buyers share a lead at most where neither seller nor campaign says.
const LegsDefault = 3

// The kinds. SaleAny is a seller's wish or what a contract sells, never a leg's kind.
const (
	SaleAny SaleKind = iota
	SaleExclusive
	SaleShared
)

var saleWords = [...]string{"any", "exclusive", "shared"}

// String returns the word of API.md.
func (k SaleKind) String() string {
	if int(k) >= len(saleWords) {
		return "invalid"
	}
	return saleWords[k]
}

// MarshalText returns the word.
func (k SaleKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
