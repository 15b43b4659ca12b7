package postback

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"
)

const (
	// jobLife is how long a job is tried.
	jobLife = 72 * time.Hour
	// refusalsMax is how often a tracker may refuse what it could not have misunderstood: trackers flap.
	refusalsMax = 4
	// retryAfterMax is the ceiling of a tracker's Retry-After.
	retryAfterMax = 6 * time.Hour
	lastDelay     = 6 * time.Hour
)

// delays stand between the attempts; after them come lastDelays until jobLife is over.
func delayAfter(attempt int) time.Duration {
	switch attempt {
	case 1:
		return time.Second
	case 2:
		return 5 * time.Second
	case 3:
		return 30 * time.Second
	case 4:
		return 2 * time.Minute
	case 5:
		return 10 * time.Minute
	case 6:
		return time.Hour
	default:
		return lastDelay
	}
}

// jittered spreads d by a fifth up or down. The spread is a hash of job and
// attempt: no random source, and the same at every look.
func jittered(d time.Duration, k Key, attempt int) time.Duration {
	var b [keyBytes + 8]byte
	seed := binary.BigEndian.AppendUint64(k.append(b[:0]), uint64(attempt))
	const steps = 1 << 20
	part := int64(xxhash.Sum64(seed) % steps)
	return d - d/5 + time.Duration(int64(2*d/5)/steps*part)
}

// verdict is what one attempt means for its job.
type verdict uint8

const (
	verdictDelivered verdict = iota + 1
	verdictRetry             // the schedule goes on
	verdictRefused           // a few more times, then dead
	verdictGone              // dead, and so is every job of the notice
)

func verdictOf(status int, err error) verdict {
	switch {
	case errors.Is(err, errEgress):
		return verdictRefused
	case err != nil:
		return verdictRetry
	case status >= 200 && status < 300:
		return verdictDelivered
	case status == http.StatusGone:
		return verdictGone
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return verdictRetry
	default:
		return verdictRefused
	}
}

// errEgress says that the address is one the house does not connect to.
var errEgress = errors.New("address is not allowed by egress")

// faultOf puts an error into one of a few words; the error itself may hold an address.
func faultOf(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errEgress), errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return "egress_refused"
	case errors.Is(err, fasthttp.ErrTimeout), errors.Is(err, fasthttp.ErrDialTimeout), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &dns):
		return "dns"
	case errors.As(err, &op) && op.Op == "dial":
		return "dial"
	case strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "x509:"):
		return "tls"
	default:
		return "broken"
	}
}

// settle moves a waiting job on after an attempt that ended at now.
func (j *Job) settle(v verdict, now time.Time, retryAfter time.Duration) {
	j.Due = 0
	tries := len(j.Attempts)
	switch v {
	case verdictDelivered:
		j.State = Delivered
		return
	case verdictGone:
		j.State, j.Reason = Dead, "gone"
		return
	case verdictRefused:
		if j.refusals() >= refusalsMax {
			j.State, j.Reason = Dead, "refused"
			return
		}
	}
	delay := max(jittered(delayAfter(tries), j.Key, tries), min(retryAfter, retryAfterMax))
	if now.Add(delay).UnixNano() > j.Created+int64(jobLife) || tries >= attemptsMax {
		j.State, j.Reason = Dead, "expired"
		return
	}
	j.Due = now.Add(delay).UnixNano()
}

func (j *Job) refusals() (n int) {
	for _, a := range j.Attempts {
		if a.Fault == "egress_refused" || (a.Fault == "" && verdictOf(a.Status, nil) == verdictRefused) {
			n++
		}
	}
	return n
}

// retryAfterOf reads a Retry-After header: seconds or a date. 0: none that can be read.
func retryAfterOf(header []byte, now time.Time) time.Duration {
	text := string(bytes.TrimSpace(header))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
