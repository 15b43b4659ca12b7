package postback

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
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

// verdictOf is what status and fault alone say.
func verdictOf(status int, err error) Verdict {
	switch {
	case errors.Is(err, errEgress):
		return VerdictRefused
	case err != nil:
		return VerdictRetry
	case status >= 200 && status < 300:
		return VerdictUnchecked
	case status == http.StatusGone:
		return VerdictGone
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return VerdictRetry
	default:
		return VerdictRefused
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
func (j *Job) settle(v Verdict, now time.Time, retryAfter time.Duration) {
	j.Due = 0
	switch v {
	case VerdictAccepted, VerdictDuplicate, VerdictUnknown, VerdictUnchecked:
		j.State = Delivered
		return
	case VerdictRejected:
		j.State, j.Reason = Dead, "rejected"
		return
	case VerdictGone:
		j.State, j.Reason = Dead, "gone"
		return
	case VerdictRefused:
		if j.refusals() >= refusalsMax {
			j.State, j.Reason = Dead, "refused"
			return
		}
	}
	delay := max(jittered(delayAfter(j.Tries), j.Key, j.Tries), min(retryAfter, retryAfterMax))
	if now.Add(delay).UnixNano() > j.born()+int64(jobLife) || j.Tries >= triesMax {
		j.State, j.Reason = Dead, "expired"
		return
	}
	j.Due = now.Add(delay).UnixNano()
}

// refusals counts the attempts since the job was last set going that were refused.
func (j *Job) refusals() (n int) {
	for _, a := range j.Attempts[max(0, len(j.Attempts)-j.Tries):] {
		if a.Verdict == VerdictRefused {
			n++
		}
	}
	return n
}

// born is when the job's life began: when it was made, or last replayed.
func (j *Job) born() int64 { return max(j.Created, j.Revived) }

// overdue tells whether the job's life ended before it could be tried again.
func (j *Job) overdue(now time.Time) bool {
	return j.Tries > 0 && now.UnixNano() > j.born()+int64(jobLife)
}

// record adds an attempt, and lets the oldest go where there are too many.
func (j *Job) record(a Attempt) {
	if len(j.Attempts) >= attemptsMax {
		j.Attempts = slices.Delete(j.Attempts, 0, len(j.Attempts)-attemptsMax+1)
	}
	j.Attempts = append(j.Attempts, a)
	j.Tries++
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
