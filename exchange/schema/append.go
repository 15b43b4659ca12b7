package schema

import "vendue/exchange"

// AppendJSON appends the set values of lead as one JSON object, in the order
// of the vertical's fields: those that which wants, all of them if it is nil.
func AppendJSON(dst []byte, lead *exchange.Lead, which func(*exchange.Field) bool) []byte {
	dst = append(dst, '{')
	first := true
	for slot := range lead.Vertical.Fields {
		f, v := &lead.Vertical.Fields[slot], &lead.Values[slot]
		if !v.Set || (which != nil && !which(f)) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(AppendString(dst, f.Name), ':')
		if f.Kind.Bare() {
			dst = append(dst, v.Text...)
		} else {
			dst = AppendString(dst, v.Text)
		}
	}
	return append(dst, '}')
}

// AppendString appends s, which is valid UTF-8, as a JSON string.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}
