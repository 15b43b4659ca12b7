package dialect

import "strings"

// sampleBytesMax bounds how much of a buyer's answer is shown, masked.
const sampleBytesMax = 240

// tradeWords are the words that a sample may show beside the description's own:
// with them a reader sees what kind of answer it was, and of nobody.
const tradeWords = " accept accepted auth authorization bad bid bidamount bids body campaign cap code data declined denied details doctype duplicate " +
	"duplicated empty error errors expired failed failure false field fields found forbidden format full gateway head html http internal invalid json key " +
	"lead leadid limit match matched message method missing msg no nobid none not null ok outcome parameter param payout ping pingid post price " +
	"quota reached reason redirect rejected request required response result server service sold status success successful temporarily test timeout " +
	"title token too true unable unauthorized unavailable unknown unmatched url value version xml "

// knownWords gathers the words of a description's own paths and rules.
func knownWords(places map[string]int, from *Reply) map[string]struct{} {
	out := map[string]struct{}{}
	add := func(text string) {
		for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' }) {
			out[w] = struct{}{}
		}
	}
	for path := range places {
		add(path)
	}
	for _, rules := range [][]Rule{from.Reject, from.Accept} {
		for i := range rules {
			add(rules[i].describe())
		}
	}
	for _, w := range from.Reasons {
		add(w.Word)
	}
	return out
}

// mask returns the beginning of an answer with every digit and every word that
// is not one of the trade's struck out. So nothing of a person is left in it,
// whatever the buyer sent.
func mask(body string, known map[string]struct{}) string {
	cut := len(body) > sampleBytesMax
	if cut {
		body = body[:sampleBytesMax]
	}
	out := make([]byte, 0, len(body)+2)
	for i := 0; i < len(body); {
		end := i
		for end < len(body) && body[end]|0x20 >= 'a' && body[end]|0x20 <= 'z' {
			end++
		}
		if end > i {
			word := strings.ToLower(body[i:end])
			_, ours := known[word]
			if ours || strings.Contains(tradeWords, " "+word+" ") {
				out = append(out, body[i:end]...)
			} else {
				out = append(out, strings.Repeat("x", end-i)...)
			}
			i = end
			continue
		}
		switch c := body[i]; {
		case c >= '0' && c <= '9':
			out = append(out, '0')
		case c < ' ':
			out = append(out, ' ')
		case c >= 0x7f:
			out = append(out, 'x')
		default:
			out = append(out, c)
		}
		i++
	}
	if cut {
		out = append(out, ".."...)
	}
	return string(out)
}
