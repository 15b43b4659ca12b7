package schema

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

const placeCharsMax = 100

var errPlace = errors.New("expected the name of a place, of at most 100 characters, with a letter in it")

// normalPlace returns the name of a city or region in capitals with single
// spaces, so that a filter finds it however a form or a person wrote it.
func normalPlace(s string) (string, error) {
	if utf8.RuneCountInString(s) > placeCharsMax || !utf8.ValidString(s) {
		return "", errPlace
	}
	letter := false
	for _, r := range s {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return "", errControl
		}
		letter = letter || unicode.IsLetter(r)
	}
	if !letter {
		return "", errPlace
	}
	return strings.ToUpper(strings.Join(strings.Fields(s), " ")), nil
}
