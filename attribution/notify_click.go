package attribution

import (
	"crypto/sha256"
	"encoding/hex"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// clicked adds the jobs that a click calls for, if it names an affiliate. A sight of a picture is no click.
func (d *desk) clicked(in *postback.Intake, vault exchange.Vault, e exchange.Entry) {
	ev, ok := e.Event.(*exchange.Clicked)
	if !ok || ev.View || len(d.notices[ev.Affiliate]) == 0 {
		return
	}
	d.fire(in, ev.Affiliate, postback.Job{Key: postback.Key{Seq: e.Seq}, Event: postback.EventClick}, clickValues(vault, e.At, ev))
}

// clickValues gives the macros of a click theirs. It is a function of the event alone.
func clickValues(vault exchange.Vault, at int64, ev *exchange.Clicked) *postback.Values {
	theirs := unseal(vault, ev.Foreign)
	v := &postback.Values{
		postback.MacroAffClickID: theirs.CID, postback.MacroClickID: ev.ClickID.String(),
		postback.MacroEvent: postback.EventClick, postback.MacroStatus: postback.StatusOf(postback.EventClick),
		postback.MacroAffiliateID: string(ev.Affiliate), postback.MacroOfferID: string(ev.Offer),
		postback.MacroClickTS: unixSeconds(at), postback.MacroConvTS: unixSeconds(at),
	}
	setSubs(v, theirs.Subs)
	sum := sha256.Sum256([]byte(string(ev.ClickID[:]) + string(ev.Affiliate) + postback.EventClick))
	v[postback.MacroConversionID] = hex.EncodeToString(sum[:16])
	return v
}
