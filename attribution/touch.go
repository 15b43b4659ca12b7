package attribution

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"vendue/exchange"
)

// chainMax bounds how many touches one click leads back to.
const chainMax = 12

// path is what one piece of evidence leads to: touches, the oldest first, and
// beside each the affiliate's own ids.
type path struct {
	touches  []Touch
	foreigns []exchange.Sealed
	// final: it speaks even where it leads nowhere. A click id that is forged, unknown or too old must not be walked
	// around by naming oneself beside it.
	final bool
	// offer is that of its newest touch, for weaker evidence that names none.
	offer exchange.OfferID
	// coupon is the one that its newest link bore.
	coupon Touch
}

// paths gathers what could earn credit, the strongest evidence first.
func (f *fold) paths(s *Sale, o *openLead) (all []path, err error) {
	var offer exchange.OfferID
	coupon := Touch{Kind: TouchCoupon, Evidence: ByCoupon, At: o.at, Affiliate: o.source.Coupon, Offer: o.source.Offer}
	add := func(id exchange.ClickID, by Evidence) error {
		p, err := f.chain(id, by, s.Seq)
		if offer == "" {
			offer = p.offer
		}
		if coupon.Affiliate == "" && p.coupon.Affiliate != "" {
			coupon = p.coupon
		}
		all = append(all, p)
		return err
	}
	switch {
	case !o.source.Click.IsZero():
		err = add(o.source.Click, ByClickID)
	case looksOurs(foreignID(f.vault, o.source.Foreign), o.at):
		forged := Touch{Kind: TouchClick, Evidence: ByClickID, Dropped: WhyClickForged}
		all = append(all, path{touches: []Touch{forged}, foreigns: []exchange.Sealed{nil}, final: true})
	}
	if err == nil && !o.source.Cookie.IsZero() && o.source.Cookie != o.source.Click {
		err = add(o.source.Cookie, ByCookie)
	}
	if coupon.Affiliate != "" {
		if coupon.Offer == "" {
			coupon.Offer = offer
		}
		p := path{touches: []Touch{coupon}, foreigns: []exchange.Sealed{o.source.Foreign}}
		if rule, ok := f.terms[f.offerOf(coupon.Offer)]; ok && rule.rules.CouponFirst {
			all = slices.Insert(all, 0, p)
		} else {
			all = append(all, p)
		}
	}
	if o.source.Affiliate != "" {
		named := Touch{Kind: TouchNamed, Evidence: ByName, At: o.at, Affiliate: o.source.Affiliate, Offer: o.source.Offer}
		if named.Offer == "" {
			named.Offer = offer
		}
		all = append(all, path{touches: []Touch{named}, foreigns: []exchange.Sealed{o.source.Foreign}})
	}
	return all, err
}

// chain follows a click back to the touches before it. Each is older in the
// journal than the one that names it, so no chain runs in a circle.
func (f *fold) chain(id exchange.ClickID, by Evidence, before uint64) (p path, err error) {
	for next := id; !next.IsZero() && len(p.touches) < chainMax; {
		c, ok, err := f.click(next, before)
		if err != nil {
			return p, err
		}
		t := Touch{Kind: TouchClick, Evidence: by, At: next.Time().UnixNano(), Click: next}
		switch {
		case ok:
			t.At, t.Seq, t.Affiliate, t.Offer = c.at, c.seq, c.affiliate, c.offer
			if c.view {
				t.Kind = TouchView
			}
		case len(p.touches) > 0:
			next = exchange.ClickID{} // what came before is gone; what is known stands
			continue
		case f.gone(next):
			t.Dropped = WhyOutsideWindow
		default:
			t.Dropped = WhyClickUnknown
		}
		p.final = p.final || t.Dropped != WhyNone && by == ByClickID
		if p.coupon.Affiliate == "" && c.coupon != "" {
			p.coupon = Touch{Kind: TouchCoupon, Evidence: ByCoupon, At: c.at, Seq: c.seq, Click: next, Affiliate: c.coupon, Offer: c.offer}
		}
		p.touches, p.foreigns = append(p.touches, t), append(p.foreigns, c.foreign)
		next, before = c.prev, c.seq
	}
	slices.Reverse(p.touches)
	slices.Reverse(p.foreigns)
	p.offer = p.touches[len(p.touches)-1].Offer
	return p, nil
}

// click returns a click that the journal told of before seq.
func (f *fold) click(id exchange.ClickID, seq uint64) (c click, ok bool, err error) {
	if f.gone(id) {
		return c, false, nil
	}
	v, ok, err := f.view.get(clickKey(id))
	if err != nil || !ok {
		return c, false, err
	}
	if c, err = decodeClick(v); err != nil || c.seq >= seq {
		return click{}, false, err
	}
	return c, true, nil
}

// weigh decides a path by the terms of its newest touch, and tells whether it
// spoke: whether weaker evidence is not to be heard.
func (f *fold) weigh(s *Sale, p *path) (shares []Share, spoke bool) {
	offer := f.offerOf(p.touches[len(p.touches)-1].Offer)
	rule, known := f.terms[offer]
	spoke = p.final
	for i := range p.touches {
		t := &p.touches[i]
		spoke = spoke || t.Affiliate != ""
		if t.Dropped != WhyNone {
			continue
		}
		if t.Offer == "" {
			t.Offer = offer
		}
		switch {
		case offer == "":
			t.Dropped = WhyNoOffer
		case t.Offer != offer:
			t.Dropped = WhyOtherOffer
		case !known:
			t.Dropped = WhyOfferUnknown
		case rule.removed:
			t.Dropped = WhyOfferRemoved
		default:
			t.Dropped = within(t, s.At, &rule)
		}
	}
	if known && !rule.removed {
		s.Offer, s.rule = offer, rule
	}
	preferClicks(p.touches)
	shares = split(rule.model, p.touches)
	if len(shares) == 1 && p.touches[shares[0].Touch].Affiliate == "" {
		p.touches[shares[0].Touch].Dropped = WhyNoAffiliate
		return nil, false
	}
	return shares, spoke
}

// decide lets the evidence speak, the strongest first, and gives the credit
// that the offer's terms make of it: to nobody, with a reason, to one, or to several.
func (f *fold) decide(s *Sale, o *openLead) error {
	paths, err := f.paths(s, o)
	if err != nil {
		return err
	}
	var won *path
	var shares []Share
	spoke, base := false, 0
	for i := range paths {
		p := &paths[i]
		if spoke {
			for j := range p.touches {
				p.touches[j].Dropped = WhyWeaker
			}
		} else if shares, spoke = f.weigh(s, p); len(shares) > 0 {
			won, base = p, len(s.Touches)
		}
		s.Touches = append(s.Touches, p.touches...)
	}
	if won == nil {
		s.Uncredited = reasonOf(s.Touches)
		return nil
	}
	for _, share := range shares {
		t := &won.touches[share.Touch]
		s.Credits = append(s.Credits, Credit{
			Touch: base + share.Touch, Weight: share.Weight, Affiliate: t.Affiliate, Click: t.Click, Foreign: won.foreigns[share.Touch],
		})
	}
	return nil
}

// reasonOf is why nobody earned: what became of the last touch that was heard.
func reasonOf(touches []Touch) Why {
	why := WhyDirect
	for i := range touches {
		if touches[i].Dropped != WhyWeaker {
			why = touches[i].Dropped
		}
	}
	return why
}

// offerOf is the offer named, or that of a lead that names none, if there is no choice.
func (f *fold) offerOf(named exchange.OfferID) (only exchange.OfferID) {
	if named != "" {
		return named
	}
	for id, t := range f.terms {
		if t.removed {
			continue
		}
		if only != "" {
			return ""
		}
		only = id
	}
	return only
}

// foreign is what was sealed of a click or a lead: the other side's ids.
type foreign struct {
	CID     string   `json:"cid"`      // of a click
	ClickID string   `json:"click_id"` // of a lead
	Subs    []string `json:"subs"`
}

// unseal opens foreign text. What cannot be opened or read is as if it was not there.
func unseal(v exchange.Vault, sealed exchange.Sealed) (f foreign) {
	text, err := v.Unseal(sealed)
	if err != nil || text == "" || json.Unmarshal([]byte(text), &f) != nil {
		return foreign{}
	}
	return f
}

func foreignID(v exchange.Vault, sealed exchange.Sealed) string {
	if len(sealed) == 0 {
		return ""
	}
	return unseal(v, sealed).ClickID
}

// looksOurs tells whether text, which this house did not make, was shaped to
// pass for a click id of ours. The length alone would not do: trackers of
// others use 32 hexadecimal digits too. The time and the kind inside tell them
// apart, but for one in twenty thousand.
func looksOurs(text string, at int64) bool {
	if len(text) != exchange.IDTextBytes {
		return false
	}
	b, err := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		return false
	}
	head := binary.BigEndian.Uint64(b)
	made := time.UnixMilli(int64(head >> 16))
	earliest := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	return exchange.IDKind(head>>12&15) == exchange.KindClick && made.After(earliest) && made.Before(time.Unix(0, at).Add(24*time.Hour))
}
