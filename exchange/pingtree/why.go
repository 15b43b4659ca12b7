package pingtree

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"vendue/exchange"
)

// listedMax bounds how many of a condition's values a detail spells out.
const listedMax = 8

// Why explains one contract: ReasonNone if it may see the lead, else the first
// reason that stops it and a detail for people. The detail names fields, caps
// and hours, never a value of the lead. With q.StandingOnly a contract without
// a standing price is no_bid.
//
// It is the plain scan that Eligible must agree with.
func (t *Tree) Why(c *exchange.Contract, q *Query) (exchange.Reason, string) {
	var k clock
	k.set(q)
	if q.StandingOnly && c.Price <= 0 {
		return exchange.ReasonNoBid, "has no standing price"
	}
	if c.Paused {
		return exchange.ReasonPaused, "the contract is paused"
	}
	if q.Test && !c.CanTest {
		return exchange.ReasonTest, "cannot tell a test from a live lead"
	}
	if q.Sale != exchange.SaleAny && c.Sale != exchange.SaleAny && q.Sale != c.Sale {
		return exchange.ReasonSaleType, fmt.Sprintf("buys %s, the seller wants %s", c.Sale, q.Sale)
	}
	if len(q.Named) > 0 && !isNamed(c.Buyer.Name, q.Named) {
		return exchange.ReasonNotNamed, fmt.Sprintf("buyer %q is not among those the consent names", c.Buyer.Name)
	}
	if detail := t.whyFiltered(c, q.Lead); detail != "" {
		return exchange.ReasonFiltered, detail
	}
	if !c.Hours.OpenAt(k.day, k.minute) {
		return exchange.ReasonHours, hoursDetail(&c.Hours, &k)
	}
	if s, full := fullCap(c, q, &k); full {
		return s.reason(), s.detail(c.Price)
	}
	return exchange.ReasonNone, ""
}

func isNamed(buyer string, names []string) bool {
	for _, name := range names {
		if strings.EqualFold(strings.TrimSpace(buyer), strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// whyFiltered returns what the filter wants, empty if the lead passes.
func (t *Tree) whyFiltered(c *exchange.Contract, lead *exchange.Lead) string {
	if _, ok := t.listed[c]; !ok {
		return fmt.Sprintf("not listed in tree %s", t.id)
	}
	if c.Vertical != t.vertical {
		return fmt.Sprintf("buys leads of vertical %s, not %s", c.Vertical.ID, t.vertical.ID)
	}
	for i := range c.Where {
		cond := &c.Where[i]
		v := &lead.Values[cond.Slot]
		if cond.Matches(v) {
			continue
		}
		field := &t.vertical.Fields[cond.Slot]
		detail := field.Name + ": expected " + wants(cond, field)
		if !v.Set {
			detail += "; the lead has none"
		}
		return detail
	}
	return ""
}

func wants(c *exchange.Condition, f *exchange.Field) string {
	switch {
	case c.Kind == exchange.ConditionIn && len(c.Texts) == 1:
		return c.Texts[0]
	case c.Kind == exchange.ConditionIn:
		return "one of " + listSome(c.Texts)
	case c.Kind == exchange.ConditionNotIn && len(c.Texts) == 1:
		return "not " + c.Texts[0]
	case c.Kind == exchange.ConditionNotIn:
		return "none of " + listSome(c.Texts)
	case c.HasMin && c.HasMax:
		return number(c.Min, f) + " to " + number(c.Max, f)
	case c.HasMin:
		return "at least " + number(c.Min, f)
	case c.HasMax:
		return "at most " + number(c.Max, f)
	default:
		return "any value"
	}
}

func listSome(texts []string) string {
	if len(texts) <= listedMax {
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:listedMax], ", "), len(texts)-listedMax)
}

// number writes a bound as the config does.
func number(n int64, f *exchange.Field) string {
	switch f.Kind {
	case exchange.FieldDecimal:
		return exchange.Money(n).String()
	case exchange.FieldDate:
		return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
	case exchange.FieldBool:
		return strconv.FormatBool(n != 0)
	case exchange.FieldEnum:
		if n >= 0 && n < int64(len(f.Values)) {
			return f.Values[n]
		}
	}
	return strconv.FormatInt(n, 10)
}

func hoursDetail(h *exchange.Hours, k *clock) string {
	var days []string
	for i := range 7 {
		if d := time.Weekday((i + 1) % 7); h.Days[d] {
			days = append(days, dayWord(d))
		}
	}
	return fmt.Sprintf("open %s %s to %s; it is %s %s %s", strings.Join(days, " "), clockWord(h.FromMin), clockWord(h.UntilMin),
		dayWord(k.day), clockWord(k.minute), k.zone)
}

func dayWord(d time.Weekday) string { return strings.ToLower(d.String()[:3]) }

func clockWord(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// detail tells people how the cap stands.
func (s *stop) detail(price exchange.Money) string {
	amount := func(n int64) string {
		if s.cap.Unit == exchange.CapSpend {
			return exchange.Money(n).String()
		}
		return strconv.FormatInt(n, 10)
	}
	if s.reason() == exchange.ReasonPacing {
		return fmt.Sprintf("cap %s: %s used, %s are due by now of the day's %s", s.cap.ID, amount(s.used), amount(s.schedule), amount(s.limit))
	}
	detail := fmt.Sprintf("cap %s: %s of %s used", s.cap.ID, amount(s.used), amount(s.limit))
	if s.cap.Unit == exchange.CapSpend && price > 0 {
		detail += fmt.Sprintf(", a lead costs %s", price)
	}
	return detail
}
