package postback

import (
	"bytes"
	"crypto/md5" // trackers ask for md5 of an id; nothing here is a secret
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wordsMax bounds what one macro's argument maps.
const wordsMax = 64

type filter func([]byte) []byte

// filterOf returns the filter that name names.
func filterOf(name string) (filter, bool) {
	switch name {
	case "lower":
		return bytes.ToLower, true
	case "upper":
		return bytes.ToUpper, true
	case "trim":
		return bytes.TrimSpace, true
	case "sha256":
		return func(v []byte) []byte { sum := sha256.Sum256(v); return hex.AppendEncode(nil, sum[:]) }, true
	case "md5":
		return func(v []byte) []byte { sum := md5.Sum(v); return hex.AppendEncode(nil, sum[:]) }, true
	case "rfc3339":
		return rfc3339, true
	default:
		return nil, false
	}
}

// filterNames are the filters, and the words that may stand among them.
var filterNames = []string{"lower", "upper", "sha256", "md5", "trim", "rfc3339", "required", "drop", "len"}

// rfc3339 spells Unix seconds as a date and time in UTC; what is no number stays.
func rfc3339(v []byte) []byte {
	seconds, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return v
	}
	return time.Unix(seconds, 0).UTC().AppendFormat(nil, time.RFC3339)
}

// parseMacro reads the macro whose brace opens at text[open] and returns the
// offset behind its closing brace.
func parseMacro(text string, open int, where place) (p part, end int, err error) {
	end = strings.IndexByte(text[open:], '}')
	if end < 0 {
		return p, 0, &SyntaxError{open, "expected } after {"}
	}
	at, body := open+1, text[open+1:open+end]
	end += open + 1
	p = part{where: where}
	body, p.fallback, p.hasDefault = strings.Cut(body, "?")
	head, filters, filtered := strings.Cut(body, "|")
	name, argument, argued := strings.Cut(head, ":")
	macro, ok := macroOf(name)
	if !ok {
		return p, 0, &SyntaxError{at, "unknown macro {" + clip(name) + "}; the nearest is {" + nearest(name, macroNames()) + "}"}
	}
	p.macro, p.required = macro, macro == MacroAffClickID
	if argued {
		if err := p.readArgument(argument, at+len(name)+1); err != nil {
			return p, 0, err
		}
	}
	if filtered {
		if err := p.readFilters(filters, at+len(head)+1); err != nil {
			return p, 0, err
		}
	}
	return p, end, p.check(text, open, end)
}

// readArgument reads what follows a macro's colon: a secret's name, or words for values.
func (p *part) readArgument(text string, at int) error {
	if p.macro == MacroSecret {
		if p.secret = text; !secretNameOK(text) {
			return &SyntaxError{at, "expected a secret's name of letters, digits, - and _"}
		}
		return nil
	}
	if p.macro.Late() {
		return &SyntaxError{at, "{" + p.macro.String() + "} takes no argument"}
	}
	for pair := range strings.FieldsSeq(text) {
		value, word, ok := strings.Cut(pair, "=")
		if !ok || value == "" || len(p.words) >= 2*wordsMax {
			return &SyntaxError{at, "expected value=word, at most " + strconv.Itoa(wordsMax) + " of them with spaces between"}
		}
		p.words = append(p.words, value, word)
	}
	if p.words == nil {
		return &SyntaxError{at, "expected value=word after the colon"}
	}
	return nil
}

func secretNameOK(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(c rune) bool {
		return c > 0x7f || !isUnreserved(byte(c)) || c == '.' || c == '~'
	}) < 0
}

func (p *part) readFilters(text string, at int) error {
	for word := range strings.SplitSeq(text, "|") {
		name, argument, argued := strings.Cut(word, ":")
		f, ok := filterOf(name)
		switch {
		case ok && !argued:
			p.filters = append(p.filters, f)
			p.hashed = p.hashed || name == "sha256" || name == "md5"
		case name == "required" && !argued:
			p.required = true
		case name == "drop" && !argued:
			p.drop, p.required = true, false
		case name == "len":
			n, err := strconv.Atoi(argument)
			if err != nil || n < 1 || n > 255 {
				return &SyntaxError{at, "expected len: and a length from 1 to 255"}
			}
			p.length = n
		case slices.Contains(filterNames, name):
			return &SyntaxError{at, "filter " + name + " takes no argument"}
		default:
			return &SyntaxError{at, "unknown filter " + clip(name) + "; the nearest is " + nearest(name, filterNames)}
		}
		at += len(word) + 1
	}
	return nil
}

// check finds what each word alone allows and all together, or the place, forbid.
func (p *part) check(text string, open, end int) error {
	switch {
	case p.macro.Personal() && !p.hashed:
		return &SyntaxError{open + 1, "{" + p.macro.String() + "} is personal data; expected it hashed, {" + p.macro.String() + "|lower|trim|sha256}"}
	case p.macro.Personal() && !p.hasDefault && !p.drop:
		name := p.macro.String()
		return &SyntaxError{open + 1, "{" + name + "} would never be sent: the journal, which notices are made from, holds no personal data; " +
			"leave it out, or give it a default, {" + name + "|sha256?none}"}
	case p.macro.Late() && (p.filters != nil || p.hasDefault || p.drop || p.length > 0):
		return &SyntaxError{open + 1, "{" + p.macro.String() + "} takes no filter and no default"}
	case p.drop && p.hasDefault:
		return &SyntaxError{open + 1, "expected drop or a default, not both"}
	case (p.drop || p.macro == MacroSig) && !p.alone(text, open, end):
		word := "drop"
		if p.macro == MacroSig {
			word = "{sig}"
		}
		return &SyntaxError{open + 1, word + " needs a query parameter of its own, &name={..}"}
	default:
		return nil
	}
}

// alone tells whether text[open:end] is all that its parameter or field is made of.
func (p *part) alone(text string, open, end int) bool {
	if p.where == inForm || p.where == inJSON {
		return p.macro != MacroSig && open == 0 && end == len(text)
	}
	if p.where != inQuery {
		return false
	}
	before := text[:open]
	i := strings.LastIndexAny(before, "&?{}")
	return open > 0 && before[open-1] == '=' && i >= 0 && (before[i] == '&' || before[i] == '?') && (end == len(text) || text[end] == '&')
}

// parseText reads the template of one field of a body.
func parseText(text string, where place) (parts []part, err error) {
	if len(text) > TemplateBytesMax {
		return nil, &SyntaxError{TemplateBytesMax, fmt.Sprintf("expected at most %d bytes", TemplateBytesMax)}
	}
	for i := 0; i < len(text); {
		if text[i] == '{' {
			p, end, err := parseMacro(text, i, where)
			if err != nil {
				return nil, err
			}
			parts, i = append(parts, p), end
			continue
		}
		end := len(text)
		if j := strings.IndexAny(text[i:], "{}"); j >= 0 {
			end = i + j
		}
		if end == i {
			return nil, &SyntaxError{i, "expected { before }"}
		}
		parts = append(parts, part{literal: string(appendPlaced(nil, []byte(text[i:end]), where))})
		i = end
	}
	return parts, nil
}

// CheckValue tells what is wrong with the template of one parameter or field. A fault is a *SyntaxError.
func CheckValue(text string) error {
	const before = "http://h/?p="
	var syntax *SyntaxError
	if _, err := Parse(before + text); errors.As(err, &syntax) {
		return &SyntaxError{max(0, syntax.Offset-len(before)), syntax.Text}
	}
	return nil
}

// appendJSONText appends what stands between the quotes of a JSON string.
func appendJSONText(dst, value []byte) []byte {
	if !utf8.Valid(value) {
		value = bytes.ToValidUTF8(value, []byte("\uFFFD"))
	}
	text, err := json.Marshal(string(value))
	if err != nil {
		panic("BUG: a string has no JSON: " + err.Error())
	}
	return append(dst, text[1:len(text)-1]...)
}
