package reconcile

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	utf "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"vendue/exchange"
)

// Limits of a list.
const (
	linesMax  = 1_000_000
	headMax   = 20 // lines before the one that names the columns
	faultsMax = 100
)

// Columns says which of a list's columns mean what, by their names in its first
// line. What is not said is guessed from names that trackers use.
type Columns struct {
	IDs      []string // whatever may name a conversion, the surest first
	Amount   string
	Status   string // "-": the list has none that counts
	Currency string
}

// ParseColumns reads id=A+B,amount=C,status=D,currency=E.
func ParseColumns(text string) (c Columns, err error) {
	if text == "" {
		return c, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		key, name, _ := strings.Cut(part, "=")
		if name == "" {
			return c, fmt.Errorf("%q: expected id=NAME+NAME, amount=NAME, status=NAME or currency=NAME", part)
		}
		switch strings.TrimSpace(key) {
		case "id":
			c.IDs = strings.Split(name, "+")
		case "amount":
			c.Amount = name
		case "status":
			c.Status = name
		case "currency":
			c.Currency = name
		default:
			return c, fmt.Errorf("%q: expected id, amount, status or currency before the =", part)
		}
	}
	return c, nil
}

// The names of columns, without what is neither letter nor digit, as trackers' exports have them.
var (
	idNames = []string{
		"conversionid", "txid", "transactionid", "externalid", "actionid", "orderid", "advsub", "tid", "leadid",
		"affclickid", "clickid", "cid", "subid", "sub1", "affsub", "affsub1", "s1", "s2", "cnvid", "reqid",
	}
	amountNames   = []string{"payout", "commission", "amount", "sum", "revenue", "earnings", "price"}
	statusNames   = []string{"status", "conversionstatus", "cnvstatus", "state"}
	currencyNames = []string{"currency", "currencycode", "cur"}
)

// statusOf reads the words that trackers have for a conversion's status.
func statusOf(word string) (string, bool) {
	switch plain(word) {
	case "":
		return "", true
	case "approved", "accepted", "confirmed", "paid", "sale", "sold", "success", "ok", "lead":
		return Approved, true
	case "pending", "hold", "onhold", "wait", "waiting", "new":
		return Pending, true
	case "rejected", "declined", "reversed", "returned", "refunded", "cancelled", "canceled", "cancel", "trash", "void", "voided", "deleted", "invalid", "scrubbed":
		return Reversed, true
	default:
		return "", false
	}
}

func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return -1
	}, name)
}

// Fault is a line that cannot be read. It tells no value: the list is another's.
type Fault struct {
	Line, Column int
	Text         string
}

// Error names the place.
func (f Fault) Error() string { return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Text) }

// Options say how a list is to be read.
type Options struct {
	Columns  Columns
	Currency string // what a currency column must say
	Decimal  byte   // '.' or ','; 0: by what each amount looks like
}

// Read reads an affiliate's list: CSV with commas, semicolons, tabs or bars, in UTF-8 or UTF-16, with a line that names the
// columns. Lines that cannot be read are returned as faults beside those that can; err says that none can.
func Read(r io.Reader, opt Options) (list []Theirs, faults []Fault, err error) {
	in := bufio.NewReaderSize(transform.NewReader(r, utf.BOMOverride(transform.Nop)), 1<<16)
	records := csv.NewReader(in)
	records.Comma, records.FieldsPerRecord, records.LazyQuotes, records.ReuseRecord = delimiter(in), -1, true, true
	var c *chosen
	for n := 0; ; n++ {
		record, err := records.Read()
		switch {
		case errors.Is(err, io.EOF) && c == nil:
			return nil, nil, errors.New("expected a line that names the columns, an id and an amount among them")
		case errors.Is(err, io.EOF):
			return list, faults, nil
		case err != nil:
			return nil, nil, fmt.Errorf("cannot read the list: %w", err)
		}
		line, _ := records.FieldPos(0)
		if c == nil {
			if c, err = choose(record, opt.Columns); err != nil {
				return nil, nil, fmt.Errorf("line %d: %w", line, err)
			}
			if c == nil && n >= headMax {
				return nil, nil, fmt.Errorf("expected a line that names the columns, an id and an amount among them, within the first %d", headMax)
			}
			continue
		}
		if empty(record) {
			continue
		}
		if len(list) == linesMax {
			return nil, nil, fmt.Errorf("line %d: expected at most %d conversions", line, linesMax)
		}
		t, fault := c.read(record, &opt)
		if t.Line = line; fault.Text == "" {
			list = append(list, t)
			continue
		}
		if fault.Line = line; len(faults) < faultsMax {
			faults = append(faults, fault)
		}
	}
}

// delimiter is the sign that parts the first lines best.
func delimiter(in *bufio.Reader) rune {
	head, _ := in.Peek(4096)
	best, most := ',', 0
	for _, sign := range ",;\t|" {
		quoted, n := false, 0
		for _, c := range string(head) {
			if c == '"' {
				quoted = !quoted
			}
			if c == sign && !quoted {
				n++
			}
		}
		if n > most {
			best, most = sign, n
		}
	}
	return best
}

func empty(record []string) bool {
	return !slices.ContainsFunc(record, func(s string) bool { return strings.TrimSpace(s) != "" })
}

// chosen is where a list's columns stand; -1: nowhere.
type chosen struct {
	ids                      []int
	amount, status, currency int
}

// choose finds the columns in a line that names them; nil if the line does not look like one.
func choose(record []string, want Columns) (*chosen, error) {
	at := func(name string) int {
		return slices.IndexFunc(record, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), strings.TrimSpace(name)) })
	}
	guess := func(names []string) (all []int) {
		for _, name := range names {
			if i := slices.IndexFunc(record, func(s string) bool { return plain(s) == name }); i >= 0 {
				all = append(all, i)
			}
		}
		return all
	}
	c := &chosen{ids: guess(idNames), amount: -1, status: -1, currency: -1}
	if len(want.IDs) > 0 {
		c.ids = nil
		for _, name := range want.IDs {
			c.ids = append(c.ids, at(name))
		}
	}
	amounts := guess(amountNames)
	if want.Amount != "" {
		amounts = []int{at(want.Amount)}
	}
	if len(c.ids) == 0 || slices.Contains(c.ids, -1) || len(amounts) == 0 || amounts[0] < 0 {
		return nil, nil
	}
	if len(amounts) > 1 {
		return nil, fmt.Errorf("columns %d and %d could both be the amount; say which: --columns amount=NAME", amounts[0]+1, amounts[1]+1)
	}
	c.amount = amounts[0]
	one := func(name string, names []string) (int, error) {
		if name == "-" {
			return -1, nil
		}
		if name != "" {
			if i := at(name); i >= 0 {
				return i, nil
			}
			return -1, fmt.Errorf("there is no column %q", name)
		}
		if found := guess(names); len(found) > 0 {
			return found[0], nil
		}
		return -1, nil
	}
	var err, err2 error
	c.status, err = one(want.Status, statusNames)
	c.currency, err2 = one(want.Currency, currencyNames)
	return c, errors.Join(err, err2)
}

func (c *chosen) read(record []string, opt *Options) (t Theirs, fault Fault) {
	cell := func(i int) string {
		if i < 0 || i >= len(record) {
			return ""
		}
		return strings.TrimSpace(record[i])
	}
	for _, i := range c.ids {
		if id := cell(i); id != "" {
			t.IDs = append(t.IDs, strings.Clone(id))
		}
	}
	var err error
	var known bool
	switch {
	case len(t.IDs) == 0:
		return t, Fault{Column: c.ids[0] + 1, Text: "expected an id of the conversion or its click"}
	case c.amount >= len(record):
		return t, Fault{Column: len(record), Text: fmt.Sprintf("expected an amount in column %d", c.amount+1)}
	}
	if t.Amount, err = Money(cell(c.amount), opt.Decimal); err != nil {
		return t, Fault{Column: c.amount + 1, Text: err.Error()}
	}
	if t.Status, known = statusOf(cell(c.status)); !known {
		return t, Fault{Column: c.status + 1, Text: "expected a status such as approved, pending or rejected; --columns status=- leaves it out"}
	}
	if code := cell(c.currency); code != "" && !strings.EqualFold(code, opt.Currency) {
		return t, Fault{Column: c.currency + 1, Text: "expected the currency " + opt.Currency}
	}
	return t, Fault{}
}

var (
	errMoney     = errors.New("expected an amount such as 1234.50")
	errAmbiguous = errors.New("this may be thousands or decimals; say which: --decimal . or --decimal ,")
)

// Money reads an amount as people and spreadsheets write it: with a currency's
// sign or code, thousands parted by points, commas, spaces or apostrophes, and
// a minus or parentheses where it is below zero. decimal is the sign before the
// decimals; 0: told from the amount itself, and refused where it could be either.
func Money(text string, decimal byte) (exchange.Money, error) {
	text = strings.TrimSpace(text)
	negative := false
	if inner, ok := strings.CutPrefix(text, "("); ok && strings.HasSuffix(inner, ")") {
		negative, text = true, strings.TrimSuffix(inner, ")")
	}
	var digits []byte
	ended := false // a unit stands behind the number
	for _, r := range text {
		switch {
		case ended && r >= '0' && r <= '9':
			return 0, errMoney
		case r >= '0' && r <= '9' || r == '.' || r == ',':
			digits = append(digits, byte(r))
		case (r == '-' || r == '\u2212') && len(digits) == 0 && !negative:
			negative = true
		case r == '\'' || r == '\u2019' || unicode.IsSpace(r):
		case unicode.IsLetter(r) || unicode.Is(unicode.Sc, r):
			ended = len(digits) > 0
		default:
			return 0, errMoney
		}
	}
	if len(digits) == 0 {
		return 0, errMoney
	}
	number, err := decimals(string(digits), decimal)
	if err != nil {
		return 0, err
	}
	m, err := exchange.ParseMoney(number)
	if err != nil {
		return 0, err
	}
	if negative {
		m = -m
	}
	return m, nil
}

// decimals leaves the thousands' signs out and has a point before the decimals.
func decimals(s string, decimal byte) (string, error) {
	points, commas := strings.Count(s, "."), strings.Count(s, ",")
	if decimal == 0 {
		switch {
		case points+commas == 0:
			return s, nil
		case points > 0 && commas > 0:
			decimal = s[strings.LastIndexAny(s, ".,")]
		case points+commas > 1: // only thousands come more than once
			decimal = '.'
			if points > 1 {
				decimal = ','
			}
		default:
			i := strings.IndexAny(s, ".,")
			if decimal = s[i]; len(s)-i == 4 && i > 0 && i < 4 && s[:i] != "0" {
				return "", errAmbiguous
			}
		}
	}
	thousands := ","
	if decimal == ',' {
		thousands = "."
	}
	whole, frac, found := strings.Cut(s, string(decimal))
	if strings.Contains(frac, thousands) || strings.IndexByte(frac, decimal) >= 0 {
		return "", errMoney
	}
	groups := strings.Split(whole, thousands)
	for _, g := range groups[1:] {
		if len(g) != 3 {
			return "", errMoney
		}
	}
	whole = strings.Join(groups, "")
	if found && frac != "" {
		return whole + "." + frac, nil
	}
	return whole, nil
}
