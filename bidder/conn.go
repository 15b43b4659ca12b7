package bidder

import (
	"bytes"
	"errors"
	"syscall"
	"time"

	"vendue/bidder/adapters"
)

// Sizes of a connection's reply buffer. It grows by doubling to the
// transport's ReplyBytesMax; one that grew is not kept with an idle connection.
const (
	replyBytesFirst = 2 << 10
	replyBytesKept  = 8 << 10
	headBytesKept   = 512
)

// conn is a kept connection and the answer that is being read from it.
//
// It is always in one place: idle in its host, held by one ask or post, or
// draining in the transport. Whoever has it is the only one to touch it.
type conn struct {
	wire   wire
	host   *host
	born   time.Time
	idleAt time.Time
	served bool // has carried an answer, or been idle: the other side may have closed it meanwhile
	buf    []byte
	n      int // bytes of the answer so far
	parse  parser
	peek   [1]byte

	head     []byte // of the last answer, and what the parser made of it: most buyers send the same one each time
	headRead parser
}

// quiet tells whether the connection is open with nothing to read. Bytes that
// come before a question are an answer to none, so it must not be used.
func (c *conn) quiet() bool {
	_, err := c.wire.tryRead(c.peek[:])
	return isBlocked(err)
}

// begin makes ready for an answer.
func (c *conn) begin() {
	if len(c.buf) == 0 {
		c.buf = make([]byte, replyBytesFirst)
	}
	c.n, c.parse = 0, parser{}
}

// poll reads what is there: nil when the answer is whole, errWouldBlock when
// more must come, anything else when none will.
func (c *conn) poll() error {
	for {
		p, err := c.room()
		if err != nil {
			return err
		}
		n, err := c.wire.tryRead(p)
		if done, err := c.took(n, err); done || err != nil {
			return err
		}
		if n < len(p) {
			return errWouldBlock // very likely, and a wrong guess only costs the next poll
		}
	}
}

// wait is poll for someone who has nothing else to do until a time.
func (c *conn) wait(until time.Time) error {
	for {
		p, err := c.room()
		if err != nil {
			return err
		}
		n, err := c.wire.read(p, until)
		if isDeadline(err) {
			return errWouldBlock
		}
		if done, err := c.took(n, err); done || err != nil {
			return err
		}
	}
}

func (c *conn) room() ([]byte, error) {
	if c.n == len(c.buf) {
		if len(c.buf) >= c.host.t.cfg.ReplyBytesMax {
			return nil, errTooLarge
		}
		grown := make([]byte, min(2*len(c.buf), c.host.t.cfg.ReplyBytesMax))
		copy(grown, c.buf)
		c.buf = grown
	}
	return c.buf[c.n:], nil
}

// took parses n new bytes and says whether the answer is whole.
func (c *conn) took(n int, err error) (bool, error) {
	if n > 0 {
		c.n += n
		if c.n == n {
			c.recall()
		}
		if fault := c.parse.advance(c.buf[:c.n]); fault != nil {
			return false, fault
		}
		if c.parse.phase == phaseDone {
			return true, nil
		}
	}
	switch {
	case err == nil:
		return false, nil
	case isBlocked(err):
		return false, errWouldBlock
	case isEOF(err):
		fault := c.parse.eof(c.n > 0)
		return fault == nil, fault
	default:
		return false, faultOf(err)
	}
}

// recall saves the reading of a head that is, byte for byte, the last answer's:
// a parser is a function of the bytes it saw, so it would come to the same.
func (c *conn) recall() {
	if n := len(c.head); n > 0 && n <= c.n && bytes.Equal(c.buf[:n], c.head) {
		c.parse = c.headRead
	}
}

// remember keeps the head of an answer that was whole and of a stated length.
func (c *conn) remember() {
	p := c.parse
	if p.pos != c.n || !p.sized || p.chunked || p.interims > 0 || p.bodyAt > headBytesKept || p.bodyEnd-p.bodyAt != p.need {
		return // the last: a 204 has no body, whatever length it states
	}
	if bytes.Equal(c.buf[:p.bodyAt], c.head) {
		return
	}
	c.head = append(c.head[:0], c.buf[:p.bodyAt]...)
	p.phase, p.pos, p.scanned, p.bodyEnd = phaseLength, p.bodyAt, p.bodyAt, p.bodyAt
	c.headRead = p
}

// faultOf names a connection's end in fixed words.
func faultOf(err error) error {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return errReset
	}
	return errTruncated
}

// reply returns the answer that poll or wait found whole. It is a view of the
// buffer, valid until the connection is released.
func (c *conn) reply() adapters.Reply {
	p := &c.parse
	return adapters.Reply{Status: p.status, Head: c.buf[p.headAt:p.bodyAt], Body: c.buf[p.bodyAt:p.bodyEnd]}
}
