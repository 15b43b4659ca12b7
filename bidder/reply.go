package bidder

import (
	"bytes"
	"errors"
	"strings"
)

// The faults of an answer. They are fixed words: no text of a buyer leaves through them.
var (
	errStatusLine  = errors.New("unreadable answer: status line")
	errHeaderLine  = errors.New("unreadable answer: header line")
	errLength      = errors.New("unreadable answer: Content-Length")
	errCoding      = errors.New("unreadable answer: Transfer-Encoding")
	errEncoding    = errors.New("unreadable answer: Content-Encoding other than identity")
	errChunk       = errors.New("unreadable answer: chunked body")
	errTooLarge    = errors.New("unreadable answer: too large")
	errInterim     = errors.New("unreadable answer: too many interim answers, or 101")
	errSurplus     = errors.New("unreadable answer: bytes after its end")
	errTruncated   = errors.New("connection closed within an answer")
	errNoAnswer    = errors.New("connection closed without an answer")
	errReset       = errors.New("connection reset")
	errWriteFailed = errors.New("connection closed while writing")
)

// Limits within an answer; its whole size is the transport's ReplyBytesMax.
const (
	interimMax = 8
	headersMax = 128
)

// phase is where in an answer a parser stands.
type phase uint8

const (
	phaseStatus phase = iota
	phaseHeader
	phaseLength  // a body of a stated length
	phaseClose   // a body that ends with the connection
	phaseChunk   // a chunk's size line
	phaseData    // a chunk's bytes
	phaseDataEnd // the line end after them
	phaseTrailer
	phaseDone
)

// parser reads one HTTP/1.1 answer out of a growing buffer. It looks at each
// byte once however slowly they come, and unfolds a chunked body in place.
// The zero value is ready for an answer to a POST.
type parser struct {
	phase    phase
	interims uint8
	headers  uint8
	oldHTTP  bool // HTTP/1.0
	close    bool // the connection must not be used again
	keep     bool // "Connection: keep-alive", which only HTTP/1.0 needs
	chunked  bool
	sized    bool
	status   int
	pos      int // the first byte not yet understood
	scanned  int // from pos to here there is no line end
	headAt   int // the first header line
	bodyAt   int
	bodyEnd  int
	need     int // bytes of body or chunk that are still to come
}

// advance reads on in buf, which begins as it did at the last call. A nil
// error with phase short of phaseDone means that more bytes are needed.
func (p *parser) advance(buf []byte) error {
	for {
		switch p.phase {
		case phaseLength:
			if len(buf)-p.pos < p.need {
				return nil
			}
			p.pos += p.need
			p.bodyEnd, p.phase = p.pos, phaseDone
		case phaseClose:
			p.pos, p.bodyEnd = len(buf), len(buf)
			return nil
		case phaseData:
			n := copy(buf[p.bodyEnd:p.bodyEnd+min(p.need, len(buf)-p.pos)], buf[p.pos:])
			p.pos, p.bodyEnd, p.need = p.pos+n, p.bodyEnd+n, p.need-n
			if p.need > 0 {
				return nil
			}
			p.scanned, p.phase = p.pos, phaseDataEnd
		case phaseDone:
			return p.checkSurplus(buf)
		case phaseDataEnd:
			if p.pos < len(buf) && buf[p.pos] != '\r' && buf[p.pos] != '\n' {
				return errChunk // told at once: the line's end may never come
			}
			fallthrough
		default:
			line, ok := p.line(buf)
			if !ok {
				return nil
			}
			if err := p.take(line); err != nil {
				return err
			}
		}
	}
}

// line takes the next line off buf, without its end. A lone LF ends one too, as RFC 9112 allows.
func (p *parser) line(buf []byte) ([]byte, bool) {
	from := max(p.scanned, p.pos)
	i := bytes.IndexByte(buf[from:], '\n')
	if i < 0 {
		p.scanned = len(buf)
		return nil, false
	}
	line := buf[p.pos : from+i]
	p.pos = from + i + 1
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, true
}

func (p *parser) take(line []byte) error {
	switch p.phase {
	case phaseStatus:
		return p.statusLine(line)
	case phaseHeader:
		if len(line) > 0 {
			return p.headerLine(line)
		}
		return p.headEnd()
	case phaseChunk:
		return p.chunkLine(line)
	case phaseDataEnd:
		if len(line) > 0 {
			return errChunk
		}
		p.phase = phaseChunk
		return nil
	default: // phaseTrailer: read and passed over
		if len(line) == 0 {
			p.phase = phaseDone
			return nil
		}
		return p.countHeader(line)
	}
}

func (p *parser) statusLine(line []byte) error {
	const prefix = "HTTP/1."
	if len(line) < len(prefix)+5 || string(line[:len(prefix)]) != prefix || line[8] != ' ' {
		return errStatusLine
	}
	if len(line) > 12 && line[12] != ' ' {
		return errStatusLine
	}
	switch line[7] {
	case '0':
		p.oldHTTP = true
	case '1':
		p.oldHTTP = false
	default:
		return errStatusLine
	}
	p.status = 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return errStatusLine
		}
		p.status = p.status*10 + int(c-'0')
	}
	if p.status < 100 {
		return errStatusLine
	}
	p.phase, p.headAt = phaseHeader, p.pos
	return nil
}

// countHeader bounds the header lines and checks the shape of one: NAME: VALUE, no folding.
func (p *parser) countHeader(line []byte) error {
	if p.headers++; p.headers > headersMax {
		return errTooLarge
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return errHeaderLine
	}
	for _, c := range line[:colon] {
		if !tokenByte(c) {
			return errHeaderLine
		}
	}
	for _, c := range line[colon+1:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return errHeaderLine
		}
	}
	return nil
}

func (p *parser) headerLine(line []byte) error {
	if err := p.countHeader(line); err != nil {
		return err
	}
	colon := bytes.IndexByte(line, ':')
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	switch {
	case equalFold(name, "content-length"):
		return p.setLength(value)
	case equalFold(name, "transfer-encoding"):
		if p.chunked || !equalFold(value, "chunked") {
			return errCoding
		}
		p.chunked = true
	case equalFold(name, "content-encoding"):
		if len(value) > 0 && !equalFold(value, "identity") {
			return errEncoding
		}
	case equalFold(name, "connection"):
		p.setConnection(value)
	}
	return nil
}

func (p *parser) setLength(value []byte) error {
	if p.sized || len(value) == 0 || len(value) > 9 {
		return errLength // given twice, or not a length that we would read
	}
	p.need = 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return errLength
		}
		p.need = p.need*10 + int(c-'0')
	}
	p.sized = true
	return nil
}

func (p *parser) setConnection(value []byte) {
	for len(value) > 0 {
		word, rest, _ := bytes.Cut(value, []byte(","))
		word = bytes.Trim(word, " \t")
		p.close = p.close || equalFold(word, "close")
		p.keep = p.keep || equalFold(word, "keep-alive")
		value = rest
	}
}

// headEnd decides, from the head alone, how the body ends.
func (p *parser) headEnd() error {
	if p.status < 200 {
		if p.interims++; p.interims > interimMax || p.status == 101 {
			return errInterim
		}
		*p = parser{pos: p.pos, scanned: p.pos, interims: p.interims}
		return nil
	}
	if p.chunked && (p.sized || p.oldHTTP) {
		return errCoding // two lengths: whichever we believed, a proxy between may have believed the other
	}
	if p.oldHTTP && !p.keep {
		p.close = true
	}
	p.bodyAt, p.bodyEnd = p.pos, p.pos
	switch {
	case p.status == 204 || p.status == 304:
		p.phase = phaseDone
	case p.chunked:
		p.phase = phaseChunk
	case p.sized:
		p.phase = phaseLength
	default:
		p.phase, p.close = phaseClose, true
	}
	return nil
}

func (p *parser) chunkLine(line []byte) error {
	digits, _, _ := bytes.Cut(line, []byte(";")) // extensions are passed over
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 7 {
		return errChunk
	}
	p.need = 0
	for _, c := range digits {
		v := strings.IndexByte("0123456789abcdef", c|0x20)
		if v < 0 || (v < 10 && c != "0123456789"[v]) {
			return errChunk
		}
		p.need = p.need<<4 | v
	}
	p.phase = phaseData
	if p.need == 0 {
		p.phase = phaseTrailer
	}
	return nil
}

// checkSurplus refuses bytes after the answer's end: they could be another
// answer, and then nobody knows which is ours. Line ends alone are a sloppy
// script's and harmless, but the connection is not used again.
func (p *parser) checkSurplus(buf []byte) error {
	if p.pos == len(buf) {
		return nil
	}
	p.close = true
	if len(bytes.Trim(buf[p.pos:], "\r\n")) > 0 {
		return errSurplus
	}
	return nil
}

// eof says what the end of the connection means here: nil if it ends the answer.
func (p *parser) eof(any bool) error {
	switch {
	case p.phase == phaseClose:
		p.phase = phaseDone
		return nil
	case !any:
		return errNoAnswer
	default:
		return errTruncated
	}
}

// reusable tells whether the connection may carry another request.
func (p *parser) reusable() bool { return p.phase == phaseDone && !p.close }

// equalFold compares with an ASCII word in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// tokenByte tells whether c may stand in a header's name.
func tokenByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	default:
		return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}
}
