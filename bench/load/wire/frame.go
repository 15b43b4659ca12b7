package wire

import (
	"bytes"
	"errors"
)

// ErrFrame means bytes that are no HTTP message of the plain kind spoken here.
var ErrFrame = errors.New("not an HTTP message with a Content-Length")

// headMax bounds the head of a message.
const headMax = 8 << 10

var (
	headEnd = []byte("\r\n\r\n")
	length  = []byte("\ncontent-length:")
	chunked = []byte("\ntransfer-encoding:")
)

// Frame finds the first HTTP message in b: total bytes, and where its body
// starts. total is zero while the message is not whole.
func Frame(b []byte) (total, body int, err error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > headMax {
			return 0, 0, ErrFrame
		}
		return 0, 0, nil
	}
	body = end + len(headEnd)
	at := find(b[:end], length)
	if at < 0 {
		if find(b[:end], chunked) >= 0 {
			return 0, 0, ErrFrame
		}
		return body, body, nil
	}
	size, digits := 0, 0
	for _, c := range bytes.TrimLeft(b[at:end], " ") {
		if c < '0' || c > '9' {
			break
		}
		size, digits = size*10+int(c-'0'), digits+1
	}
	if digits == 0 || digits > 8 {
		return 0, 0, ErrFrame
	}
	if total = body + size; total > len(b) {
		return 0, body, nil
	}
	return total, body, nil
}

// find returns where the value of a header starts, or -1. name is lower case,
// from the line's feed to the colon.
func find(head, name []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(head[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i
		if end := at + len(name); end <= len(head) && fold(head[at:end], name) {
			return end
		}
		at++
	}
}

func fold(b, lower []byte) bool {
	for i, c := range lower {
		if b[i] != c && (b[i]|0x20) != c {
			return false
		}
	}
	return true
}

// Number reads the decimal that follows key in an answer's body, in hundredths;
// -1 if there is none. The bare peers know no more of JSON.
func Number(b, key []byte) int64 {
	i := bytes.Index(b, key)
	if i < 0 {
		return -1
	}
	var n int64
	point, places, digits := false, 0, 0
	for _, c := range b[i+len(key):] {
		switch {
		case c == '.' && !point:
			point = true
		case c >= '0' && c <= '9' && digits < 15:
			if digits++; point {
				if places == 2 {
					continue
				}
				places++
			}
			n = n*10 + int64(c-'0')
		default:
			return hundredths(n, places, digits)
		}
	}
	return hundredths(n, places, digits)
}

func hundredths(n int64, places, digits int) int64 {
	if digits == 0 {
		return -1
	}
	for ; places < 2; places++ {
		n *= 10
	}
	return n
}
