package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"vendue/exchange"
)

// AppendJSON appends e as one JSON object, without a newline: seq, at (RFC
// 3339, UTC, nanoseconds), type, then the event's own fields. What is sealed stays sealed.
func AppendJSON(dst []byte, e exchange.Entry) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"at":"`...)
	dst = time.Unix(0, e.At).UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","type":"`...)
	dst = append(dst, e.Event.Kind().String()...)
	dst = append(dst, '"')
	fields, err := json.Marshal(e.Event)
	if err != nil || len(fields) < 2 {
		panic(fmt.Sprintf("BUG: a %s has no JSON form: %v", e.Event.Kind(), err))
	}
	if len(fields) > len("{}") {
		dst = append(dst, ',')
	}
	return append(dst, fields[1:]...)
}

// appendText appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendText[T ~string](dst []byte, s T) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c < 0x20 || c == 0x7f:
				dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			default:
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		dst = utf8.AppendRune(dst, r)
		i += size
	}
	return append(dst, '"')
}
