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
}

// String returns the macro's word.
func (m Macro) String() string {
	if m == 0 || m >= macroCount {
		return "invalid"
	}
	return macroWords[m]
}

// macroOf returns the macro that name names; s1 to s5 are sub1 to sub5.
func macroOf(name string) (Macro, bool) {
	if len(name) == 2 && name[0] == 's' {
		name = "sub" + name[1:]
	}
	i := slices.Index(macroNames(), name)
	return Macro(i + 1), i >= 0
}

func macroNames() []string { return macroWords[1:] }
