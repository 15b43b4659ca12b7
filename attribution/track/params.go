package track

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// valueBytesMax bounds each value of a click. What is longer is cut and
// counted; it never spills into another value.
const valueBytesMax = 255

// The names under which other trackers' links carry the same things. The first
// that is there and not empty counts.
var (
	affNames             = [...]string{"aff", "a", "pid", "aff_id", "affid", "affiliate_id", "publisher_id"}
	cidNames             = [...]string{"cid", "click_id", "clickid", "aff_click_id", "transaction_id", "tid", "subid"}
	codeNames            = [...]string{"code", "coupon", "coupon_code", "promo_code"}
	conversionClickNames = [...]string{"click_id", "clickid", "cid", "transaction_id"}
)

// subsMax is how many sub ids a click carries.
const subsMax = 5

// subNames are the names of sub id n, from 1.
func subNames(n int) []string {
	d := strconv.Itoa(n)
	names := []string{"sub" + d, "s" + d, "aff_sub" + d, "sub_id" + d}
	if n == 1 {
		names = append(names, "aff_sub")
	}
	return names
}

// params is what a click said.
type params struct {
	aff, cid, code string
	subs           [subsMax]string
	cut            int // values that were too long
}

func readParams(args *fasthttp.Args) (p params) {
	take := func(names []string) string {
		v, _ := first(args, names)
		if len(v) > valueBytesMax {
			p.cut++
			v = cut(v)
		}
		return v
	}
	p.aff, p.cid, p.code = take(affNames[:]), take(cidNames[:]), take(codeNames[:])
	for i := range p.subs {
		p.subs[i] = take(subNames(i + 1))
	}
	return p
}

// first returns the first argument of names that is not empty.
func first(args *fasthttp.Args, names []string) (string, bool) {
	for _, name := range names {
		if v := args.Peek(name); len(v) > 0 {
			return string(v), true
		}
	}
	return "", false
}

// cut shortens v at a character's end.
func cut(v string) string {
	n := valueBytesMax
	for n > valueBytesMax-utf8.UTFMax && !utf8.RuneStart(v[n]) {
		n--
	}
	return v[:n]
}

// foreign is what of a click goes sealed into the journal: JSON, or nothing.
func (p *params) foreign() string {
	last := subsMax
	for last > 0 && p.subs[last-1] == "" {
		last--
	}
	if p.cid == "" && p.code == "" && last == 0 {
		return ""
	}
	text, err := json.Marshal(struct {
		CID  string   `json:"cid,omitempty"`
		Subs []string `json:"subs,omitempty"`
		Code string   `json:"code,omitempty"`
	}{p.cid, p.subs[:last], p.code})
	if err != nil {
		panic("BUG: three strings have no JSON: " + err.Error())
	}
	return string(text)
}
