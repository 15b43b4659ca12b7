package attribution

var whyMeanings = [WhyCount]string{
	WhyDirect:        "nobody is named",
	WhyClickForged:   "it is shaped like a click id of ours, and is not one",
	WhyClickUnknown:  "the journal held no such click before the sale",
	WhyNoAffiliate:   "the click names no affiliate that was known",
	WhyNoOffer:       "no offer is named, and there is not exactly one",
	WhyOfferUnknown:  "the offer had no terms",
	WhyOfferRemoved:  "the offer's terms had been withdrawn",
	WhyOutsideWindow: "the sale came too late after it",
	WhyAfterSale:     "it is not older than the sale",
	WhyWeaker:        "better evidence decided",
	WhyOutranked:     "the model credits another touch",
	WhyOtherOffer:    "it is of another offer than the one reached last",
	WhyAwaiting:      "the offer's owner has yet to confirm the sale",
	WhyNotSold:       "the event confirms a sale that had not come",
	WhyOnAccept:      "the offer pays for accepted leads: the lead's acceptance decided",
	WhyOnEvent:       "the offer pays for events, not for sales",
	WhyEvent:         "the offer does not pay for this event",
	WhyConfirmLate:   "the event came too late after the sale",
	WhyReversed:      "it was credited, and taken back",
	WhyOnSale:        "the offer does not pay for acceptance",
	WhyReturned:      "the buyer gave the leg back",
}

// Meaning tells the reason in a clause, for people; empty for WhyNone.
func (w Why) Meaning() string {
	if w >= WhyCount {
		return "invalid"
	}
	return whyMeanings[w]
}
