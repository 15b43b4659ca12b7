package book

import (
	"encoding/binary"
	"time"

	"vendue/exchange"
)

// What a quote takes beside its bytes: its places in the index and in its page,
// and the room that both keep for more. Then what its ref takes, what a turn or
// anything else that is no bytes does, and each contract that was made up for it.
const (
	entryBytes = 128
	refBytes   = 128
	extraBytes = 192
	apartBytes = 384
)

// chunkBytes bounds the pieces that a page's bytes lie in: one that grows is copied.
const chunkBytes = 64 << 10

// page is the quotes that expire in one second.
type page struct {
	chunks  [][]byte
	pings   []exchange.PingID
	bytes   int64 // that they count as
	terms   []terms
	numbers map[terms]uint32 // their places in terms
	refs    []refKey
	extras  map[exchange.PingID]extra // what few quotes have
}

// terms are what the quotes of one campaign of one market have in common.
type terms struct {
	market   *exchange.Market
	campaign *exchange.Campaign
}

// extra is what of a quote cannot be kept as bytes.
type extra struct {
	turn  *HeldTurn
	apart []*exchange.Contract // those legs' that are not in the market: made up for a test
}

// add keeps the record of a quote and returns where, and how many bytes the quote counts as.
func (p *page) add(quote *Quote, record []byte) (at place, size int64) {
	of := terms{quote.Market, quote.Campaign}
	number, ok := p.numbers[of]
	if !ok {
		number = uint32(len(p.terms))
		p.terms = append(p.terms, of)
		p.numbers[of] = number
	}
	last := len(p.chunks) - 1
	if last < 0 || len(p.chunks[last])+len(record) > chunkBytes {
		p.chunks = append(p.chunks, nil)
		last++
	}
	at = place{chunk: uint32(last), at: uint32(len(p.chunks[last])), bytes: uint32(len(record)), terms: number}
	size = int64(len(record) + entryBytes)
	p.chunks[last] = append(p.chunks[last], record...)
	p.pings = append(p.pings, quote.PingID)
	x := extra{turn: quote.Turn}
	for i := range quote.Legs {
		if c := quote.Legs[i].Contract; !listed(quote.Market, c) {
			x.apart = append(x.apart, c)
		}
	}
	if x.turn != nil || x.apart != nil {
		if p.extras == nil {
			p.extras = make(map[exchange.PingID]extra)
		}
		p.extras[quote.PingID] = x
		size += int64(extraBytes + apartBytes*len(x.apart))
	}
	return at, size
}

// listed tells whether a contract is found in the market by its index.
func listed(m *exchange.Market, c *exchange.Contract) bool {
	return c.Index >= 0 && c.Index < len(m.Contracts) && m.Contracts[c.Index] == c
}

// kept is all that is kept of one quote, its record copied.
type kept struct {
	ping    exchange.PingID
	expires time.Time
	record  string
	terms
	extra
}

// find returns what add kept.
func (p *page) find(ping exchange.PingID, at place, first time.Time) kept {
	return kept{
		ping: ping, expires: first.Add(at.expires), record: string(p.chunks[at.chunk][at.at : at.at+at.bytes]),
		terms: p.terms[at.terms], extra: p.extras[ping],
	}
}

// quote reads what was kept.
func (k *kept) quote() *Quote {
	q := &Quote{PingID: k.ping, Expires: k.expires, Market: k.market, Campaign: k.campaign, Turn: k.turn}
	r := reader{text: k.record}
	r.quote(q, k.apart)
	return q
}

// appendQuote appends what of a quote is kept as bytes: numbers as varints, texts after their length.
func appendQuote(dst []byte, q *Quote) []byte {
	dst = binary.AppendVarint(dst, int64(q.Expires.Sub(q.Opened)))
	dst = binary.AppendVarint(dst, q.Told)
	dst = appendText(dst, q.Ref)
	dst = binary.AppendUvarint(dst, q.LeadHash)
	dst = append(dst, flag(q.Test), byte(q.Sale), q.Script)
	dst = binary.AppendUvarint(dst, uint64(q.Tier))
	dst = binary.AppendUvarint(dst, uint64(q.Places))
	dst = binary.AppendVarint(dst, int64(q.Price))
	dst = binary.AppendUvarint(dst, uint64(len(q.Values)))
	for i := range q.Values {
		v := &q.Values[i]
		if dst = append(dst, flag(v.Set)); v.Set {
			dst = binary.AppendVarint(appendText(dst, v.Text), v.Num)
		}
	}
	if dst = append(dst, flag(!q.Source.IsZero())); dst[len(dst)-1] != 0 {
		for _, text := range texts(&q.Source) {
			dst = appendText(dst, *text)
		}
	}
	dst = append(dst, flag(q.Consent.Given))
	dst = appendText(dst, q.Consent.Raw)
	dst = binary.AppendUvarint(dst, uint64(len(q.Consent.NamedBuyers)))
	for _, name := range q.Consent.NamedBuyers {
		dst = appendText(dst, name)
	}
	dst = binary.AppendUvarint(dst, uint64(len(q.Legs)))
	for i := range q.Legs {
		leg := &q.Legs[i]
		number := uint64(0) // not in the market
		if listed(q.Market, leg.Contract) {
			number = uint64(leg.Contract.Index) + 1
		}
		dst = binary.AppendUvarint(dst, number)
		dst = binary.AppendVarint(dst, int64(leg.Bid))
		dst = binary.AppendVarint(dst, int64(leg.Payout))
		dst = appendText(dst, leg.Token)
		dst = binary.AppendVarint(dst, int64(leg.ExpiresIn))
	}
	return dst
}

// texts are the parts of a source.
func texts(s *exchange.Source) [10]*string {
	return [...]*string{
		&s.Affiliate, &s.Offer, &s.ClickID, &s.Cookie, &s.Coupon, &s.Subs[0], &s.Subs[1], &s.Subs[2], &s.Subs[3], &s.Subs[4],
	}
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// reader reads what appendQuote wrote. The texts that it returns are parts of its own.
type reader struct {
	text string
	at   int
}

func (r *reader) quote(q *Quote, apart []*exchange.Contract) {
	q.Opened = q.Expires.Add(-time.Duration(r.signed()))
	q.Told = r.signed()
	q.Ref = r.string()
	q.LeadHash = r.unsigned()
	q.Test, q.Sale, q.Script = r.byte() != 0, exchange.SaleKind(r.byte()), r.byte()
	q.Tier, q.Places, q.Price = int(r.unsigned()), int(r.unsigned()), exchange.Money(r.signed())
	q.Values = make([]exchange.Value, r.unsigned())
	for i := range q.Values {
		if r.byte() != 0 {
			q.Values[i] = exchange.Value{Set: true, Text: r.string(), Num: r.signed()}
		}
	}
	if r.byte() != 0 {
		for _, text := range texts(&q.Source) {
			*text = r.string()
		}
	}
	q.Consent.Given, q.Consent.Raw = r.byte() != 0, r.string()
	for range r.unsigned() {
		q.Consent.NamedBuyers = append(q.Consent.NamedBuyers, r.string())
	}
	q.Legs = make([]QuoteLeg, r.unsigned())
	for i := range q.Legs {
		leg := &q.Legs[i]
		if number := r.unsigned(); number > 0 {
			leg.Contract = q.Market.Contracts[number-1]
		} else {
			leg.Contract, apart = apart[0], apart[1:]
		}
		leg.Bid, leg.Payout = exchange.Money(r.signed()), exchange.Money(r.signed())
		leg.Token, leg.ExpiresIn = r.string(), time.Duration(r.signed())
	}
}

func (r *reader) byte() byte {
	r.at++
	return r.text[r.at-1]
}

func (r *reader) unsigned() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if n |= uint64(b&0x7f) << shift; b < 0x80 {
			return n
		}
	}
}

func (r *reader) signed() int64 {
	n := r.unsigned()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) string() string {
	n := int(r.unsigned())
	r.at += n
	return r.text[r.at-n : r.at]
}
