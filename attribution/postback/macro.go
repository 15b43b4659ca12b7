package postback

import "slices"

// Macro names one value that a template may ask for.
type Macro uint8

// The macros. The house's revenue and margin are not among them, nor the
// seller's price: what the house earns is no affiliate's business.
const (
	MacroAffClickID   Macro = iota + 1 // the affiliate's own click id
	MacroClickID                       // ours
	MacroConversionID                  // ours, constant over retries
	MacroLeadID
	MacroOrderID // the lead's id too: what advertisers call an order is a lead here
	MacroPayout  // the affiliate's commission, with exactly the currency's decimals
	MacroCurrency
	MacroEvent  // lead.sold
	MacroStatus // sold
	MacroAffiliateID
	MacroOfferID
	MacroSub1
	MacroSub2
	MacroSub3
	MacroSub4
	MacroSub5
	MacroClickTS // Unix seconds; empty without a click of ours
	MacroConvTS  // Unix seconds

	// Personal data, which leaves hashed or not at all. The journal holds none
	// of it, so today no event gives these a value: a template that asks for one
	// and has no default is refused, because its notices would never be sent.
	MacroEmail
	MacroPhone
	MacroFirstName
	MacroLastName
	MacroIP

	// The late ones are filled in at each attempt and never stored.
	MacroSecret // {secret}, {secret:NAME}
	MacroTS     // Unix seconds of the attempt
	MacroSig    // signs the query

	macroCount
)

// Values holds a value per macro; the empty text is no value.
type Values [macroCount]string

var macroWords = [macroCount]string{
	MacroAffClickID:   "aff_click_id",
	MacroClickID:      "click_id",
	MacroConversionID: "conversion_id",
	MacroLeadID:       "lead_id",
	MacroOrderID:      "order_id",
	MacroPayout:       "payout",
	MacroCurrency:     "currency",
	MacroEvent:        "event",
	MacroStatus:       "status",
	MacroAffiliateID:  "affiliate_id",
	MacroOfferID:      "offer_id",
	MacroSub1:         "sub1",
	MacroSub2:         "sub2",
	MacroSub3:         "sub3",
	MacroSub4:         "sub4",
	MacroSub5:         "sub5",
	MacroClickTS:      "click_ts",
	MacroConvTS:       "conv_ts",
	MacroEmail:        "email",
	MacroPhone:        "phone",
	MacroFirstName:    "first_name",
	MacroLastName:     "last_name",
	MacroIP:           "ip",
	MacroSecret:       "secret",
	MacroTS:           "ts",
	MacroSig:          "sig",
}

// String returns the macro's word.
func (m Macro) String() string {
	if m == 0 || m >= macroCount {
		return "invalid"
	}
	return macroWords[m]
}

// Personal tells whether the value is of a consumer, and may leave only as a hash.
func (m Macro) Personal() bool { return m >= MacroEmail && m <= MacroIP }

// Late tells whether the value is made at each attempt.
func (m Macro) Late() bool { return m >= MacroSecret && m < macroCount }

// Macros returns every macro that an event can give a value.
func Macros() []Macro {
	all := make([]Macro, 0, macroCount)
	for m := MacroAffClickID; m <= MacroConvTS; m++ {
		all = append(all, m)
	}
	return all
}

// ParseMacro returns the macro that name names.
func ParseMacro(name string) (Macro, bool) { return macroOf(name) }

// macroOf returns the macro that name names; s1 to s5 are sub1 to sub5.
func macroOf(name string) (Macro, bool) {
	if len(name) == 2 && name[0] == 's' {
		name = "sub" + name[1:]
	}
	i := slices.Index(macroNames(), name)
	return Macro(i + 1), i >= 0
}

func macroNames() []string { return macroWords[1:] }

// The events that a postback may be on. Which of them the house fires is attribution's to say.
const (
	EventClick              = "click"
	EventLeadSold           = "lead.sold"
	EventLeadReturned       = "lead.returned"
	EventCommissionPending  = "commission.pending"
	EventCommissionApproved = "commission.approved"
	EventCommissionReversed = "commission.reversed"
)

// Events returns every event's name.
func Events() []string {
	return []string{EventClick, EventLeadSold, EventLeadReturned, EventCommissionPending, EventCommissionApproved, EventCommissionReversed}
}

// StatusOf is what {status} says of an event: sold of lead.sold.
func StatusOf(event string) string {
	for i := len(event) - 1; i >= 0; i-- {
		if event[i] == '.' {
			return event[i+1:]
		}
	}
	return event
}
