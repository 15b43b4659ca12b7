package api

import (
	"slices"
	"testing"

	"vendue/exchange"
	"vendue/exchange/api/apitest"
)

func parseDocument(t testing.TB) *apitest.Document {
	t.Helper()
	d, err := apitest.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The document's lists of words are closed: they are the vocabulary's, no more and no less.
func TestDocumentKnowsTheVocabulary(t *testing.T) {
	d := parseDocument(t)
	same := func(what string, told, ours []string) {
		slices.Sort(told)
		slices.Sort(ours)
		if told = slices.Compact(told); !slices.Equal(told, ours) {
			t.Errorf("%s: the document has %v, the vocabulary %v", what, told, ours)
		}
	}
	var reasons, ofLeads []string
	for r := exchange.ReasonNone + 1; r < exchange.ReasonCount; r++ {
		reasons = append(reasons, r.String())
		if messages[r] != "" {
			ofLeads = append(ofLeads, r.String())
		}
	}
	same("LeadReason", d.Enum("LeadReason"), ofLeads)
	same("reasons", slices.Concat(d.Enum("RequestReason"), d.Enum("LeadReason"), d.Enum("ContractReason")), reasons)
	var events []string
	for k := exchange.EventKind(1); k.String() != "invalid"; k++ {
		events = append(events, k.String())
	}
	same("ReturnReason", d.Enum("ReturnReason"), exchange.ReturnReasons())
	same("EventType", d.Enum("EventType"), events)
	same("SaleKind", d.Enum("SaleKind"), []string{exchange.SaleExclusive.String(), exchange.SaleShared.String()})
}

func TestDocumentsExamples(t *testing.T) {
	checked, err := parseDocument(t).CheckExamples()
	if err != nil {
		t.Error(err)
	}
	if checked < 10 {
		t.Errorf("only %d examples were found", checked)
	}
}
