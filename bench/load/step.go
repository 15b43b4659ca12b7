package load

import (
	"bytes"
	"fmt"
	"strings"
)

// Marks in a request's text; each is replaced by as many bytes before it is sent.
const (
	// SerialMark becomes a number of ten digits that no other request of the run has.
	SerialMark = "##########"
	// TakenMark becomes the id that the step before took from its answer.
	TakenMark = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@"
)

// Step is one request of a unit of work and what a good answer holds.
type Step struct {
	request []byte
	serials []int // where SerialMark stands
	takens  []int // where TakenMark stands
	want    []byte
	take    []byte
}

// Call says what a step asks. Its texts may hold marks.
type Call struct {
	Method, Path string
	Key          string   // Bearer key; "" for none
	Headers      []string // "Name: value"
	Body         string
	Want         string // a good answer holds it, head included
	Take         string // the id for the next step's TakenMark follows it in the answer; "" takes none
}

// NewStep compiles a call.
func NewStep(c Call) Step {
	var w strings.Builder
	fmt.Fprintf(&w, "%s %s HTTP/1.1\r\nHost: localhost\r\n", c.Method, c.Path)
	if c.Key != "" {
		fmt.Fprintf(&w, "Authorization: Bearer %s\r\n", c.Key)
	}
	for _, h := range c.Headers {
		w.WriteString(h + "\r\n")
	}
	if c.Body != "" {
		fmt.Fprintf(&w, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(c.Body))
	}
	w.WriteString("\r\n" + c.Body)
	s := Step{request: []byte(w.String()), want: []byte(c.Want), take: []byte(c.Take)}
	s.serials, s.takens = places(s.request, SerialMark), places(s.request, TakenMark)
	return s
}

func places(b []byte, mark string) []int {
	var out []int
	for at := 0; ; at += len(mark) {
		i := bytes.Index(b[at:], []byte(mark))
		if i < 0 {
			return out
		}
		at += i
		out = append(out, at)
	}
}

// fill writes the request with its marks replaced over dst.
func (s *Step) fill(dst []byte, serial int64, taken []byte) []byte {
	dst = append(dst[:0], s.request...)
	for _, at := range s.serials {
		n := serial
		for i := len(SerialMark) - 1; i >= 0; i-- {
			dst[at+i] = byte('0' + n%10)
			n /= 10
		}
	}
	for _, at := range s.takens {
		copy(dst[at:at+len(TakenMark)], taken)
	}
	return dst
}

// judge tells whether an answer is good, and takes the id from it.
func (s *Step) judge(answer, taken []byte) (id []byte, good bool) {
	const okLine = "HTTP/1.1 2"
	const foundLine = "HTTP/1.1 302"
	if !bytes.HasPrefix(answer, []byte(okLine)) && !bytes.HasPrefix(answer, []byte(foundLine)) {
		return taken, false
	}
	if !bytes.Contains(answer, s.want) {
		return taken, false
	}
	if len(s.take) == 0 {
		return taken, true
	}
	i := bytes.Index(answer, s.take)
	if i < 0 || len(answer) < i+len(s.take)+len(TakenMark) {
		return taken, false
	}
	return append(taken[:0], answer[i+len(s.take):][:len(TakenMark)]...), true
}
