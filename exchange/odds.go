package exchange

// Odds are what the house expects of a post to a contract. Accept and Unknown
// together are at most the whole; the rest is a definite reject.
type Odds struct {
	Accept      PPM `json:"accept_ppm"`       // a readable accept
	Unknown     PPM `json:"unknown_ppm"`      // no readable answer
	UnknownSold PPM `json:"unknown_sold_ppm"` // of the unknown ones, those that turn out sold
	Return      PPM `json:"return_ppm"`       // of the sold ones, those given back
}

// Reject returns how likely a definite reject is.
func (o Odds) Reject() PPM { return Whole - o.Accept - o.Unknown }

// Worth returns what one attempt at bid is expected to earn: a bid is only
// money if the lead is taken and kept. Bid is zero or more.
func (o Odds) Worth(bid Money) Money {
	sold := o.Accept + PPM(o.UnknownSold.Of(Money(o.Unknown)))
	return (Whole - o.Return).Of(sold.Of(bid))
}
