package auction

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"vendue/exchange"
)

// TestGolden plays the cases of testdata. README.md there says how to read them.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/cases", func(t *testing.T, path string) {
		var terms Terms
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out string
			var err error
			switch d.Cmd {
			case "terms":
				terms, err = readTerms(d)
			case "clear":
				out, err = clearCase(&terms, d.Input)
			case "covers":
				out, err = coversCase(&terms, d.Input)
			default:
				err = fmt.Errorf("no such command: %s", d.Cmd)
			}
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			return out
		})
	})
}

func readTerms(d *datadriven.TestData) (Terms, error) {
	terms := Terms{Method: exchange.MethodAuction, Currency: exchange.Currency{Code: "USD", MinorDigits: 2}}
	var floor, minPrice exchange.Money
	for _, arg := range d.CmdArgs {
		var err error
		switch arg.Key {
		case "priority":
			terms.Method = exchange.MethodPriority
		case "ping":
			copy(terms.Ping[:], arg.Vals[0])
		case "digits":
			terms.Currency.MinorDigits, err = strconv.Atoi(arg.Vals[0])
		case "floor":
			floor, err = exchange.ParseMoney(arg.Vals[0])
		case "min_price":
			minPrice, err = exchange.ParseMoney(arg.Vals[0])
		case "margin":
			terms.Margin, err = readMargin(arg.Vals)
		case "margin_min":
			terms.MarginMin, err = readMargin(arg.Vals)
		default:
			err = fmt.Errorf("no such term")
		}
		if err != nil {
			return terms, fmt.Errorf("%s: %w", arg.Key, err)
		}
	}
	terms.Least = max(floor, minPrice)
	return terms, nil
}

// readMargin reads a percentage, an amount, or one of each.
func readMargin(vals []string) (g exchange.Margin, err error) {
	for _, v := range vals {
		rate, isRate := strings.CutSuffix(v, "%")
		m, err := exchange.ParseMoney(rate)
		if err != nil {
			return g, err
		}
		if isRate {
			g.Rate = exchange.PPM(m / 100)
		} else {
			g.Fixed = m
		}
	}
	return g, nil
}

// clearCase prints the legs best first, then the bids below the floor, and proves the money of each.
func clearCase(terms *Terms, input string) (string, error) {
	var bids []Bid
	tier := 0
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if f[0] == "tier" {
			tier++
			continue
		}
		amount, err := exchange.ParseMoney(f[1])
		if err != nil {
			return "", err
		}
		bids = append(bids, Bid{Contract: &exchange.Contract{ID: exchange.ContractID(f[0])}, Tier: tier, Place: len(bids), Amount: amount})
	}
	var out strings.Builder
	won := make(map[int]bool)
	for i, leg := range Clear(terms, bids, nil) {
		won[leg.Place] = true
		fmt.Fprintf(&out, "%d. %s bids %s: seller %s, house %s\n", i+1, leg.Contract.ID, leg.Amount, leg.Payout, leg.Amount-leg.Payout)
	}
	for _, b := range bids {
		if !won[b.Place] {
			payout, _ := terms.Payout(b.Contract, b.Amount)
			fmt.Fprintf(&out, "below_floor: %s bids %s, would pay %s of %s\n", b.Contract.ID, b.Amount, payout, terms.Least)
		}
	}
	if out.Len() == 0 {
		return "no bids\n", nil
	}
	return out.String(), nil
}

func coversCase(terms *Terms, input string) (string, error) {
	var out strings.Builder
	for line := range strings.Lines(input) {
		f := strings.Fields(line) // 18.50 for 17.20
		bid, err := exchange.ParseMoney(f[0])
		if err != nil {
			return "", err
		}
		promised, err := exchange.ParseMoney(f[2])
		if err != nil {
			return "", err
		}
		verdict := "no"
		if Covers(terms, bid, promised) {
			verdict = fmt.Sprintf("yes, the house keeps %s", bid-promised)
		}
		fmt.Fprintf(&out, "a bid of %s for a promise of %s: %s\n", bid, promised, verdict)
	}
	return out.String(), nil
}
