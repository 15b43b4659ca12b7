package pingtree

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the cases name zones, and must run where the system has none

	"github.com/cockroachdb/datadriven"

	"vendue/exchange"
)

// TestGolden plays the cases of testdata. README.md there says how to read them.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/cases", func(t *testing.T, path string) {
		h := newHouse()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := h.run(d)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			return out
		})
	})
}

// house is what a transcript has said so far.
type house struct {
	zone      *time.Location
	vertical  *exchange.Vertical
	buyers    map[string]*exchange.Buyer
	contracts map[string]*exchange.Contract
	tree      *exchange.Tree
	handles   int
	sold      map[windowKey]int64
}

type windowKey struct {
	handle int
	window int64
}

func newHouse() *house {
	h := &house{zone: time.UTC, vertical: &exchange.Vertical{ID: "auto", Slots: map[string]int{}}, buyers: map[string]*exchange.Buyer{},
		contracts: map[string]*exchange.Contract{}, sold: map[windowKey]int64{}}
	for _, f := range []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip}, {Name: "state", Kind: exchange.FieldState}, {Name: "age", Kind: exchange.FieldInt},
		{Name: "insured", Kind: exchange.FieldBool}, {Name: "loan", Kind: exchange.FieldDecimal}, {Name: "move", Kind: exchange.FieldDate},
	} {
		h.vertical.Slots[f.Name] = len(h.vertical.Fields)
		h.vertical.Fields = append(h.vertical.Fields, f)
	}
	return h
}

func (h *house) Used(handle int, window int64) int64 { return h.sold[windowKey{handle, window}] }

func (h *house) Bound(c *exchange.Cap, _ time.Time) (int64, int64) {
	return c.Limit, exchange.Unscheduled
}

func (h *house) run(d *datadriven.TestData) (string, error) {
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	var err error
	switch d.Cmd {
	case "zone":
		h.zone, err = time.LoadLocation(d.CmdArgs[0].Key)
		return "", err
	case "buyer":
		return "", h.buyer(d.CmdArgs[0].Key, lines)
	case "contract":
		return "", h.contract(d.CmdArgs[0].Key, lines)
	case "tree":
		return "", h.makeTree(lines)
	case "sold":
		return "", h.sell(d, lines)
	case "ask":
		return h.ask(d, lines)
	}
	return "", fmt.Errorf("no such command: %s", d.Cmd)
}

func (h *house) buyer(id string, lines []string) error {
	b := &exchange.Buyer{ID: exchange.BuyerID(id)}
	h.buyers[id] = b
	for _, line := range lines {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "name":
			b.Name = rest
		case "cap":
			c, err := h.parseCap("buyer/"+id, rest, exchange.ReasonCapBuyer)
			if err != nil {
				return err
			}
			b.Caps = append(b.Caps, c)
		default:
			return fmt.Errorf("buyer %s: %q", id, line)
		}
	}
	return nil
}

func (h *house) contract(id string, lines []string) error {
	c := &exchange.Contract{ID: exchange.ContractID(id), Index: len(h.contracts), Vertical: h.vertical, Sale: exchange.SaleExclusive, CanTest: true, Pinged: true}
	h.contracts[id] = c
	for _, line := range lines {
		if err := h.contractLine(c, strings.TrimSpace(line)); err != nil {
			return fmt.Errorf("contract %s: %q: %w", id, line, err)
		}
	}
	if c.Buyer == nil {
		return fmt.Errorf("contract %s has no buyer", id)
	}
	return nil
}

func (h *house) contractLine(c *exchange.Contract, line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "buyer":
		c.Buyer = h.buyers[rest]
	case "vertical":
		c.Vertical = &exchange.Vertical{ID: exchange.VerticalID(rest)}
	case "paused":
		c.Paused = true
	case "cannot-test":
		c.CanTest = false
	case "shared":
		c.Sale = exchange.SaleShared
	case "price":
		c.Price, err = exchange.ParseMoney(rest)
		c.Pinged = false
	case "cap":
		var limit exchange.Cap
		limit, err = h.parseCap("contract/"+string(c.ID), rest, exchange.ReasonCapContract)
		c.Caps = append(c.Caps, limit)
	case "hours":
		c.Hours, err = parseHours(strings.Fields(rest))
	case "where":
		var cond exchange.Condition
		cond, err = h.parseCondition(strings.Fields(rest))
		c.Where = append(c.Where, cond)
	default:
		err = fmt.Errorf("no such word")
	}
	return err
}

// parseCap reads "3 leads per day" and "50.00 spend per month".
func (h *house) parseCap(owner, text string, full exchange.Reason) (exchange.Cap, error) {
	f := strings.Fields(text)
	if len(f) != 4 {
		return exchange.Cap{}, fmt.Errorf("cap: %q", text)
	}
	c := exchange.Cap{ID: exchange.CapID(owner + "/" + f[3] + "/" + f[1]), Full: full, Unit: exchange.CapLeads, Handle: h.handles}
	h.handles++
	for w := exchange.PerHour; w <= exchange.PerTotal; w++ {
		if w.String() == f[3] {
			c.Per = w
		}
	}
	if f[1] == "spend" {
		limit, err := exchange.ParseMoney(f[0])
		c.Unit, c.Limit, c.Full = exchange.CapSpend, int64(limit), exchange.ReasonBudget
		return c, err
	}
	var err error
	c.Limit, err = strconv.ParseInt(f[0], 10, 64)
	return c, err
}

// parseHours reads "mon tue 09:00 to 17:00".
func parseHours(f []string) (exchange.Hours, error) {
	hours := exchange.Hours{Set: true}
	if len(f) < 4 {
		return hours, fmt.Errorf("hours: %q", f)
	}
	for _, day := range f[:len(f)-3] {
		for d := time.Sunday; d <= time.Saturday; d++ {
			if dayWord(d) == day {
				hours.Days[d] = true
			}
		}
	}
	var h, m int
	for i, at := range []*int{&hours.FromMin, &hours.UntilMin} {
		if _, err := fmt.Sscanf(f[len(f)-3+2*i], "%d:%d", &h, &m); err != nil {
			return hours, err
		}
		*at = h*60 + m
	}
	return hours, nil
}

// parseCondition reads "state in AZ CA", "state not NY", "age 25 to 70", "age from 25" and "age to 70".
func (h *house) parseCondition(f []string) (exchange.Condition, error) {
	slot, ok := h.vertical.Slots[f[0]]
	if !ok {
		return exchange.Condition{}, fmt.Errorf("no field %s", f[0])
	}
	c := exchange.Condition{Slot: slot, Kind: exchange.ConditionRange}
	kind := h.vertical.Fields[slot].Kind
	var err, err2 error
	switch f[1] {
	case "in":
		c.Kind, c.Texts = exchange.ConditionIn, f[2:]
	case "not":
		c.Kind, c.Texts = exchange.ConditionNotIn, f[2:]
	case "from":
		c.HasMin = true
		c.Min, err = parseNumber(kind, f[2])
	case "to":
		c.HasMax = true
		c.Max, err = parseNumber(kind, f[2])
	default:
		c.HasMin, c.HasMax = true, true
		c.Min, err = parseNumber(kind, f[1])
		c.Max, err2 = parseNumber(kind, f[3])
	}
	if err == nil {
		err = err2
	}
	return c, err
}

func parseNumber(kind exchange.FieldKind, text string) (int64, error) {
	switch kind {
	case exchange.FieldDecimal:
		m, err := exchange.ParseMoney(text)
		return int64(m), err
	case exchange.FieldDate:
		day, err := time.Parse(time.DateOnly, text)
		return day.Unix() / 86400, err
	case exchange.FieldBool:
		on, err := strconv.ParseBool(text)
		if on {
			return 1, err
		}
		return 0, err
	case exchange.FieldInt:
		return strconv.ParseInt(text, 10, 64)
	}
	return 0, nil
}

// makeTree reads a tier a line: "auction acme-west zenith-us".
func (h *house) makeTree(lines []string) error {
	h.tree = &exchange.Tree{ID: "auto"}
	for _, line := range lines {
		f := strings.Fields(line)
		tier := exchange.Tier{Method: exchange.MethodAuction}
		if f[0] == "priority" {
			tier.Method = exchange.MethodPriority
		}
		for _, name := range f[1:] {
			c := h.contracts[name]
			if c == nil {
				return fmt.Errorf("no contract %s", name)
			}
			tier.Contracts = append(tier.Contracts, c)
		}
		h.tree.Tiers = append(h.tree.Tiers, tier)
	}
	return nil
}

// sell takes room in a contract's caps and its buyer's, in the windows of d's now. A line: "acme-west 21.50".
func (h *house) sell(d *datadriven.TestData, lines []string) error {
	now, err := nowOf(d)
	if err != nil {
		return err
	}
	for _, line := range lines {
		f := strings.Fields(line)
		bid, err := exchange.ParseMoney(f[1])
		if err != nil {
			return err
		}
		c := h.contracts[f[0]]
		for _, limit := range slices.Concat(c.Caps, c.Buyer.Caps) {
			h.sold[windowKey{limit.Handle, limit.Per.Start(now, h.zone)}] += limit.Need(bid)
		}
	}
	return nil
}

func nowOf(d *datadriven.TestData) (time.Time, error) {
	for _, arg := range d.CmdArgs {
		if arg.Key == "now" {
			return time.Parse(time.RFC3339, arg.Vals[0])
		}
	}
	return time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC), nil // a Wednesday; most cases don't care
}

func (h *house) query(d *datadriven.TestData, lines []string) (*Query, error) {
	now, err := nowOf(d)
	q := &Query{Now: now, Zone: h.zone, Caps: h, Lead: &exchange.Lead{Vertical: h.vertical, Values: make([]exchange.Value, len(h.vertical.Fields))}}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "sale":
			q.Sale = map[string]exchange.SaleKind{"exclusive": exchange.SaleExclusive, "shared": exchange.SaleShared}[arg.Vals[0]]
		case "test":
			q.Test = true
		case "standing-only":
			q.StandingOnly = true
		case "named":
			q.Named = arg.Vals
		}
	}
	for _, line := range lines {
		name, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue // a lead may be empty
		}
		slot, known := h.vertical.Slots[name]
		if !known {
			return nil, fmt.Errorf("no field %s", name)
		}
		n, err := parseNumber(h.vertical.Fields[slot].Kind, text)
		if err != nil {
			return nil, err
		}
		q.Lead.Values[slot] = exchange.Value{Text: text, Num: n, Set: true}
	}
	return q, err
}

// ask prints each tier's candidates, then why the others may not see the lead, then the counts.
func (h *house) ask(d *datadriven.TestData, lines []string) (string, error) {
	q, err := h.query(d, lines)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	var s Scratch
	tree := Compile(h.tree, h.vertical)
	for i := range tree.Tiers() {
		fmt.Fprintf(&out, "tier %d %s:", i+1, h.tree.Tiers[i].Method)
		for _, c := range tree.Eligible(i, q, &s) {
			fmt.Fprintf(&out, " %s", c.ID)
		}
		out.WriteByte('\n')
		for _, c := range h.tree.Tiers[i].Contracts {
			if reason, detail := tree.Why(c, q); reason != exchange.ReasonNone {
				fmt.Fprintf(&out, "  not %s, %s: %s\n", c.ID, reason, detail)
			}
		}
	}
	for _, e := range s.AppendExcluded(nil) {
		fmt.Fprintf(&out, "%d %s\n", e.Count, e.Reason)
	}
	return out.String(), nil
}
