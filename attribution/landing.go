package attribution

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vendue/exchange"
)

// Landing is a page that an offer's clicks lead to: what the operator wrote,
// with places for what a click says of itself. It is immutable.
type Landing struct {
	plain []landingPart // as it was written
	parts []landingPart // with a place for the click id
}

type landingPart struct {
	text  string
	macro string // after the text; empty: none
}

// LandingMacros are the words that may stand in braces on a landing page's URL.
func LandingMacros() []string {
	return []string{"click_id", "aff_click_id", "affiliate_id", "offer_id", "sub1", "sub2", "sub3", "sub4", "sub5"}
}

// The faults of a landing page's macros.
var (
	errLandingHost  = errors.New("a macro may not stand before the path: where a click leads is the operator's to say")
	errLandingBrace = errors.New("a { without its }")
)

// ParseLanding reads a landing page's URL. Where no {click_id} stands in it, one
// joins the query, before the fragment; a click_id that stands there gives way.
func ParseLanding(url string) (*Landing, error) {
	scheme := strings.Index(url, "://") + len("://")
	path := strings.IndexAny(url[min(scheme, len(url)):], "/?#")
	if brace := strings.IndexByte(url, '{'); brace >= 0 && (path < 0 || brace < scheme+path) {
		return nil, errLandingHost
	}
	plain, err := landingParts(url)
	if err != nil || strings.Contains(url, "{click_id}") {
		return &Landing{plain: plain, parts: plain}, err
	}
	parts, err := landingParts(withClickID(url))
	return &Landing{plain: plain, parts: parts}, err
}

func landingParts(url string) (parts []landingPart, err error) {
	for rest := url; rest != ""; {
		text, after, found := strings.Cut(rest, "{")
		part := landingPart{text: text}
		if found {
			name, tail, closed := strings.Cut(after, "}")
			switch {
			case !closed:
				return nil, errLandingBrace
			case !slices.Contains(LandingMacros(), name):
				return nil, fmt.Errorf("unknown macro {%s}; expected one of %s", name, strings.Join(LandingMacros(), ", "))
			}
			part.macro, after = name, tail
		}
		parts, rest = append(parts, part), after
	}
	return parts, nil
}

// withClickID finds the place of click_id in a URL that does not say it.
func withClickID(url string) string {
	page, fragment, marked := strings.Cut(url, "#")
	if marked {
		fragment = "#" + fragment
	}
	page, query, _ := strings.Cut(page, "?")
	joined := "?"
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); name != "click_id" && pair != "" {
			joined += pair + "&"
		}
	}
	return page + joined + "click_id={click_id}" + fragment
}

// Visit is what a landing page may hear of a click.
type Visit struct {
	Click     exchange.ClickID
	Offer     exchange.OfferID
	Affiliate exchange.AffiliateID
	CID       string
	Subs      [5]string
}

func (v *Visit) value(macro string) string {
	switch macro {
	case "click_id":
		if v.Click.IsZero() {
			return ""
		}
		return v.Click.String()
	case "aff_click_id":
		return v.CID
	case "affiliate_id":
		return string(v.Affiliate)
	case "offer_id":
		return string(v.Offer)
	default:
		return v.Subs[macro[len(macro)-1]-'1']
	}
}

// For is the page's URL for a visit, as it was written if it is no click. Every value is percent-encoded to its last
// reserved character, so that none can change where the URL leads.
func (l *Landing) For(v *Visit) string {
	parts := l.parts
	if v.Click.IsZero() {
		parts = l.plain
	}
	out := make([]byte, 0, 256)
	for _, p := range parts {
		out = append(out, p.text...)
		if p.macro != "" {
			out = appendEscaped(out, v.value(p.macro))
		}
	}
	return string(out)
}

func appendEscaped(dst []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '_' || c == '~' || c == '.' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
