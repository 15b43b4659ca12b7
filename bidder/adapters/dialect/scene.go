package dialect

import (
	"strconv"
	"strings"
	"time"

	"vendue/bidder/adapters"
	"vendue/exchange"

	"github.com/tidwall/gjson"
)

// Scene is what a request is made of. A phase fills what it knows; the
// compiler sees to it that no request asks for more.
type Scene struct {
	Phase    PhaseID
	Lead     *exchange.Lead
	Consent  *exchange.Consent // nil in a ping
	Contract *exchange.Contract
	PingID   exchange.PingID
	LeadID   exchange.LeadID
	Leg      exchange.LegNo
	Sale     exchange.SaleKind
	Token    string // all of a bid's tokens, packed
	Price    exchange.Money
	Test     bool
	Tmax     time.Duration
	Now      time.Time
}

// PingScene is the scene of a ping.
func PingScene(p *adapters.Ping) Scene {
	sale := p.Terms.Sale
	if sale == exchange.SaleAny {
		sale = p.Ask.Sale
	}
	return Scene{Phase: Ping, Lead: p.Ask.Lead, Contract: p.Terms, PingID: p.Ask.PingID, Sale: sale, Test: p.Ask.Test, Tmax: p.Tmax, Now: p.Ask.Start}
}

// PostScene is the scene of a post.
func PostScene(d *exchange.Delivery, now time.Time) Scene {
	sale := d.Sale
	if sale == exchange.SaleAny {
		sale = d.Contract.Sale
	}
	return Scene{
		Phase: Post, Lead: d.Lead, Consent: d.Consent, Contract: d.Contract, PingID: d.PingID, LeadID: d.LeadID, Leg: d.Leg, Sale: sale,
		Token: d.Token, Price: d.Price, Test: d.Test, Now: now,
	}
}

// StatusScene is the scene of a question for a post's outcome.
func StatusScene(q *exchange.Inquiry, now time.Time) Scene {
	return Scene{Phase: Status, Contract: q.Contract, PingID: q.PingID, LeadID: q.LeadID, Leg: q.Leg, Sale: q.Contract.Sale, Token: q.Token, Test: q.Test, Now: now}
}

// placeKind is where a place's value comes from.
type placeKind uint8

const (
	placeText placeKind = iota // no place: text of the description itself
	placeField
	placeToken
	placeConsent
	placeFirst // the first of several that is not empty
	placePhase
	placeLeadID
	placePingID
	placeBidID
	placePrice
	placePriceCents
	placeContract
	placeVertical
	placeSale
	placeTest
	placeTmax
	placeTime
)

// houseWords are the places that the house itself fills, with the phases that know them.
var houseWords = []struct {
	word   string
	kind   placeKind
	phases [PhaseCount]bool
}{
	{"lead_id", placeLeadID, [PhaseCount]bool{Post: true, Status: true}},
	{"ping_id", placePingID, [PhaseCount]bool{Ping: true, Post: true, Status: true}},
	{"bid_id", placeBidID, [PhaseCount]bool{Post: true, Status: true}},
	{"price", placePrice, [PhaseCount]bool{Post: true}},
	{"price_cents", placePriceCents, [PhaseCount]bool{Post: true}},
	{"contract", placeContract, [PhaseCount]bool{Ping: true, Post: true, Status: true}},
	{"vertical", placeVertical, [PhaseCount]bool{Ping: true, Post: true, Status: true}},
	{"sale", placeSale, [PhaseCount]bool{Ping: true, Post: true, Status: true}},
	{"test", placeTest, [PhaseCount]bool{Ping: true, Post: true, Status: true}},
	{"phase", placePhase, [PhaseCount]bool{Ping: true, Post: true, Status: true}},
	{"tmax_ms", placeTmax, [PhaseCount]bool{Ping: true}},
	{"unix_time", placeTime, [PhaseCount]bool{Ping: true, Post: true, Status: true}},
}

// PlaceWords returns the words of the places that the house itself fills, for help.
func PlaceWords() []string {
	words := make([]string, len(houseWords))
	for i, w := range houseWords {
		words[i] = w.word
	}
	return words
}

// place is one part of a template.
type place struct {
	kind placeKind
	slot int     // of a field
	text string  // text as it stands; a token's name; a consent's key
	any  []place // of placeFirst
}

// append appends the place's plain value.
func (p *place) append(dst []byte, s *Scene) []byte {
	switch p.kind {
	case placeText:
		return append(dst, p.text...)
	case placeField:
		return append(dst, s.Lead.Values[p.slot].Text...)
	case placeToken:
		return append(dst, tokenOf(s.Token, p.text)...)
	case placeConsent:
		return append(dst, consentOf(s.Consent, p.text)...)
	case placeFirst:
		from := len(dst)
		for i := range p.any {
			if dst = p.any[i].append(dst, s); len(dst) > from {
				break
			}
		}
		return dst
	case placePhase:
		if s.Phase == Post && !s.Contract.Pinged {
			return append(dst, "direct"...)
		}
		return append(dst, s.Phase.String()...)
	case placeLeadID:
		return s.LeadID.Append(dst)
	case placePingID:
		return s.PingID.Append(dst)
	case placeBidID:
		return exchange.AppendBidID(dst, s.PingID, s.Leg)
	case placePrice:
		return s.Price.Append(dst)
	case placePriceCents:
		return strconv.AppendInt(dst, int64(s.Price/(exchange.Micro/100)), 10)
	case placeContract:
		return append(dst, s.Contract.ID...)
	case placeVertical:
		return append(dst, s.Contract.Vertical.ID...)
	case placeSale:
		return append(dst, s.Sale.String()...)
	case placeTest:
		return strconv.AppendBool(dst, s.Test)
	case placeTmax:
		return strconv.AppendInt(dst, s.Tmax.Milliseconds(), 10)
	case placeTime:
		return strconv.AppendInt(dst, s.Now.Unix(), 10)
	default:
		panic("BUG: a place of kind " + strconv.Itoa(int(p.kind)) + " has no value of its own")
	}
}

func consentOf(c *exchange.Consent, key string) string {
	if c == nil || !c.Given {
		return ""
	}
	v := gjson.Get(c.Raw, key)
	if v.Type == gjson.JSON || v.Type == gjson.Null {
		return ""
	}
	return strings.ToValidUTF8(v.String(), "?")
}

// A bid's tokens travel as one string: name=value, a unit separator between.
// Values hold no control character, so nothing needs escaping; names make the
// string outlive a reload that puts the tokens in another order.
const tokenSeparator = '\x1f'

func tokenOf(packed, name string) string {
	for packed != "" {
		var one string
		one, packed, _ = strings.Cut(packed, string(tokenSeparator))
		if value, ok := strings.CutPrefix(one, name); ok && value != "" && value[0] == '=' {
			return value[1:]
		}
	}
	return ""
}
