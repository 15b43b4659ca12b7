package exchange

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An id is 20 bytes, written as 32 lower-case base32 characters that sort by time:
//
//	time 48 bits (ms since 1970) | kind 4 | node 12 | random 40 | MAC 56
//
// The MAC is the house's own, so a forged id is refused without a look-up.
const (
	idBytes  = 20
	idSigned = 13
	// IDTextBytes is the length of an id as text.
	IDTextBytes = 32
)

type id [idBytes]byte

// PingID names one ping and the quote it may have opened.
type PingID id

// LeadID names one post of a lead, whatever became of it.
type LeadID id

// ClickID names one visit through an offer's link.
type ClickID id

// IDKind keeps an id of one kind from passing for another.
type IDKind uint8

// The kinds of id.
const (
	KindPing IDKind = iota + 1
	KindLead
	KindClick
)

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func (v id) append(dst []byte) []byte {
	return idText.AppendEncode(dst, v[:])
}

func (v id) time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(v[:8]) >> 16)).UTC()
}

// Append appends the id as text.
func (v PingID) Append(dst []byte) []byte { return id(v).append(dst) }

// String returns the id as text.
func (v PingID) String() string { return string(id(v).append(nil)) }

// Time returns when the id was made, to the millisecond.
func (v PingID) Time() time.Time { return id(v).time() }

// IsZero tells whether v names nothing.
func (v PingID) IsZero() bool { return v == PingID{} }

// MarshalText returns the id as text, empty for the zero id.
func (v PingID) MarshalText() ([]byte, error) { return id(v).marshal(), nil }

// Append appends the id as text.
func (v LeadID) Append(dst []byte) []byte { return id(v).append(dst) }

// String returns the id as text.
func (v LeadID) String() string { return string(id(v).append(nil)) }

// Time returns when the id was made, to the millisecond.
func (v LeadID) Time() time.Time { return id(v).time() }

// IsZero tells whether v names nothing.
func (v LeadID) IsZero() bool { return v == LeadID{} }

// MarshalText returns the id as text, empty for the zero id.
func (v LeadID) MarshalText() ([]byte, error) { return id(v).marshal(), nil }

// Append appends the id as text.
func (v ClickID) Append(dst []byte) []byte { return id(v).append(dst) }

// String returns the id as text.
func (v ClickID) String() string { return string(id(v).append(nil)) }

// Time returns when the id was made, to the millisecond.
func (v ClickID) Time() time.Time { return id(v).time() }

// IsZero tells whether v names nothing.
func (v ClickID) IsZero() bool { return v == ClickID{} }

// MarshalText returns the id as text, empty for the zero id.
func (v ClickID) MarshalText() ([]byte, error) { return id(v).marshal(), nil }

func (v id) marshal() []byte {
	if v == (id{}) {
		return nil
	}
	return v.append(nil)
}

// Minter makes ids and tells its own from forged ones. It is safe for
// concurrent use if random is.
//
// The signed part fits one AES block, so the block cipher itself is the MAC:
// no allocation and tens of nanoseconds, where HMAC-SHA256 cost 400.
type Minter struct {
	mac    cipher.Block
	node   uint16
	random func() uint64
	blocks sync.Pool // *[aes.BlockSize]byte: one on the stack would escape through the interface
}

// NewMinter returns a minter for one node (0 to 4095). The key has 16 bytes.
func NewMinter(key []byte, node uint16, random func() uint64) (*Minter, error) {
	if node > 0xfff {
		return nil, fmt.Errorf("node %d: expected 0 to 4095", node)
	}
	mac, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the id key: %w", err)
	}
	m := &Minter{mac: mac, node: node, random: random}
	m.blocks.New = func() any { return new([aes.BlockSize]byte) }
	return m, nil
}

func (m *Minter) mint(kind IDKind, now time.Time) (v id) {
	binary.BigEndian.PutUint64(v[:8], uint64(now.UnixMilli())<<16|uint64(kind)<<12|uint64(m.node))
	r := m.random()
	v[8] = byte(r >> 32)
	binary.BigEndian.PutUint32(v[9:idSigned], uint32(r))
	m.sign(&v)
	return v
}

func (m *Minter) sign(v *id) {
	block := m.blocks.Get().(*[aes.BlockSize]byte)
	clear(block[copy(block[:], v[:idSigned]):])
	m.mac.Encrypt(block[:], block[:])
	copy(v[idSigned:], block[:])
	m.blocks.Put(block)
}

func (m *Minter) parse(kind IDKind, text string) (v id, ok bool) {
	if len(text) != IDTextBytes {
		return id{}, false
	}
	// The decoder skips line breaks: a text with one is shorter than it looks, and would be a second name for the same id.
	if n, err := idText.Decode(v[:], []byte(text)); err != nil || n != idBytes {
		return id{}, false
	}
	want := v
	m.sign(&want)
	if subtle.ConstantTimeCompare(v[idSigned:], want[idSigned:]) != 1 || IDKind(v[6]>>4) != kind {
		return id{}, false
	}
	return v, true
}

// Ping makes a new PingID.
func (m *Minter) Ping(now time.Time) PingID { return PingID(m.mint(KindPing, now)) }

// Lead makes a new LeadID.
func (m *Minter) Lead(now time.Time) LeadID { return LeadID(m.mint(KindLead, now)) }

// Click makes a new ClickID.
func (m *Minter) Click(now time.Time) ClickID { return ClickID(m.mint(KindClick, now)) }

// ParsePing returns the PingID that text names, and false if this house did not make it.
func (m *Minter) ParsePing(text string) (PingID, bool) {
	v, ok := m.parse(KindPing, text)
	return PingID(v), ok
}

// ParseLead returns the LeadID that text names, and false if this house did not make it.
func (m *Minter) ParseLead(text string) (LeadID, bool) {
	v, ok := m.parse(KindLead, text)
	return LeadID(v), ok
}

// ParseClick returns the ClickID that text names, and false if this house did not make it.
func (m *Minter) ParseClick(text string) (ClickID, bool) {
	v, ok := m.parse(KindClick, text)
	return ClickID(v), ok
}

// LooksLikeClick tells whether text has the shape and a plausible time of a
// click id of some house like ours. If this house did not make it, it is forged.
func LooksLikeClick(text string) bool {
	var v id
	if len(text) != IDTextBytes {
		return false
	}
	if _, err := idText.Decode(v[:], []byte(text)); err != nil {
		return false
	}
	year := v.time().Year()
	return IDKind(v[6]>>4) == KindClick && year >= 2020 && year < 2100
}

// LegNo numbers the possible legs of one auction from 1, best first.
type LegNo uint16

// AppendBidID appends the bid_id of leg n of ping: the ping's id, a dash, the number.
func AppendBidID(dst []byte, ping PingID, n LegNo) []byte {
	dst = append(ping.Append(dst), '-')
	return strconv.AppendUint(dst, uint64(n), 10)
}

// ParseBidID returns the leg that text names if it is one of ping's.
func ParseBidID(text string, ping PingID) (LegNo, bool) {
	rest, ok := strings.CutPrefix(text, ping.String()+"-")
	if !ok || rest == "" || rest[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(rest, 10, 16)
	return LegNo(n), err == nil
}

type (
	// VerticalID is a vertical's name in the config, as all names below are.
	VerticalID string
	// SellerID names a seller.
	SellerID string
	// CampaignID names a campaign.
	CampaignID string
	// BuyerID names a buyer.
	BuyerID string
	// ContractID names a contract.
	ContractID string
	// TreeID names a tree.
	TreeID string
	// AffiliateID names an affiliate.
	AffiliateID string
	// OfferID names an offer.
	OfferID string
	// OperatorID names an operator.
	OperatorID string
	// CapID names a cap by OWNER/NAME/PER/UNIT, as in contract/acme-west/day/leads.
	CapID string
)
