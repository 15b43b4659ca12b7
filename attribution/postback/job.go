package postback

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"vendue/attribution/internal/wire"
	"vendue/exchange"
)

// State is how a job stands.
//
//	waiting -> delivered   a tracker answered 2xx, and its body is no rejection
//	waiting -> dead        the schedule is over, the tracker refused or rejected it, or said that it is gone
//	not_sent               from the start: the template needed a value that was not there
//	waiting -> not_sent    the seller has no webhook any more, or a secret is not in the config any more
//	dead, not_sent -> waiting   an operator replayed it
//
// Delivered is final.
type State uint8

// The states.
const (
	Waiting State = iota + 1
	Delivered
	Dead
	NotSent
)

var stateWords = [...]string{"", "waiting", "delivered", "dead", "not_sent"}

// String returns the state's word.
func (s State) String() string {
	if int(s) >= len(stateWords) {
		return "invalid"
	}
	return stateWords[s]
}

// ParseState returns the state of a word; 0, which is any, of none.
func ParseState(word string) (State, bool) {
	i := slices.Index(stateWords[:], word)
	return State(max(i, 0)), i >= 0
}

// MarshalText returns the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Key names a job: the journal's seq of the sale it tells of, and its place
// among that sale's jobs. Keys sort as the sales happened.
type Key struct {
	Seq uint64
	No  uint16
}

const keyBytes = 10

// String returns SEQ.NO, and nothing of the zero key.
func (k Key) String() string {
	if k == (Key{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d", k.Seq, k.No)
}

// ParseKey reads what String wrote.
func ParseKey(text string) (k Key, ok bool) {
	seq, no, _ := strings.Cut(text, ".")
	s, err := strconv.ParseUint(seq, 10, 64)
	n, err2 := strconv.ParseUint(no, 10, 16)
	return Key{s, uint16(n)}, err == nil && err2 == nil
}

func (k Key) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint64(dst, k.Seq), k.No)
}

func keyOf(b []byte) Key {
	return Key{binary.BigEndian.Uint64(b), binary.BigEndian.Uint16(b[8:])}
}

// Job is one notice to one tracker, or to one seller's webhook.
type Job struct {
	Key          Key
	State        State
	Affiliate    exchange.AffiliateID
	Seller       exchange.SellerID // whose webhook is told; empty: an affiliate's tracker is
	Lead         exchange.LeadID
	Event        string          // lead.sold, lead.settled
	ConversionID string          // constant over retries; a webhook's webhook-id
	Endpoint     string          // scheme, host and port; the unit of queueing
	Notice       Notice          // the postback as the affiliate asked for it; the unit of 410
	URL          exchange.Sealed // none of a webhook: the config has it
	Created      int64           // Unix nanoseconds
	Due          int64           // Unix nanoseconds of the next attempt while waiting; 0: at once
	Reason       string          // why it is dead or not sent
	Revived      int64           // Unix nanoseconds of its last replay, 0: never replayed
	Tries        int             // attempts since it was made or last replayed
	Attempts     []Attempt       // the latest attemptsMax
}

// Attempt is one try to deliver a job.
type Attempt struct {
	At      int64           `json:"at"`               // Unix nanoseconds of its end
	Status  int             `json:"status,omitempty"` // HTTP status, 0 if none was read
	Fault   string          `json:"fault,omitempty"`  // timeout, dial, tls, reset, egress_refused, ..
	Verdict Verdict         `json:"verdict"`
	Said    exchange.Sealed `json:"-"` // how the answer's body begins, where it was no acceptance
}

// Notice is the hash of an affiliate and a template: what 410 switches off.
type Notice uint64

// NoticeOf names the postback of an affiliate. Another template is another notice.
func NoticeOf(affiliate exchange.AffiliateID, event, template string) Notice {
	return Notice(xxhash.Sum64String(fmt.Sprintf("%d:%s%d:%s%s", len(affiliate), affiliate, len(event), event, template)))
}

// endpointID is an Endpoint in 8 bytes.
type endpointID uint64

func endpointOf(endpoint string) endpointID { return endpointID(xxhash.Sum64String(endpoint)) }

// The keys in attribution's space. Everything of postback's begins with P.
//
//	Pj key                       -> job
//	Pd endpoint(8) order(8) key  -> nothing; the waiting jobs. Order is the seq before the first attempt, orderLate and the due time after
//	Px key                       -> nothing; the dead and the not sent
//	Pg notice(8)                 -> Unix nanoseconds at which a tracker said 410
//	Pm                           -> settled totals: delivered, dead
//	Po                           -> settled total: not sent after all
//	Pn                           -> created totals
//
// A fresh job's order is its seq, below any retry's: fresh jobs go first, in
// the order of their sales, and the sender can remember how far it has read.
const (
	prefixJob  = "Pj"
	prefixDue  = "Pd"
	prefixDead = "Px"
	prefixGone = "Pg"
	keySettled = "Pm"
	keyCreated = "Pn"
	keyLapsed  = "Po"
	orderLate  = 1 << 63 // set in a retry's order, beside the Unix nanoseconds at which it is due
	jobVersion = 1
	// hookVersion is a webhook's: a seller stands where a postback has its affiliate.
	hookVersion = 2
	// A job that was tried or replayed has a version of its own, with verdicts; before that it is as it always was.
	triedVersion     = 3
	triedHookVersion = 4
	// attemptsMax bounds a record. One life of a job has at most triesMax attempts; the schedule ends before it.
	attemptsMax = 32
	triesMax    = 32
)

func jobKey(k Key) []byte  { return k.append([]byte(prefixJob)) }
func deadKey(k Key) []byte { return k.append([]byte(prefixDead)) }

func dueKey(ep endpointID, order uint64, k Key) []byte {
	return k.append(duePrefix(ep, order))
}

func duePrefix(ep endpointID, order uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte(prefixDue), uint64(ep))
	return binary.BigEndian.AppendUint64(b, order)
}

const dueKeyBytes = len(prefixDue) + 16 + keyBytes

func parseDueKey(b []byte) (ep endpointID, order uint64, k Key, err error) {
	if len(b) != dueKeyBytes {
		return 0, 0, Key{}, fmt.Errorf("postback index: %w", wire.ErrCorrupt)
	}
	b = b[len(prefixDue):]
	return endpointID(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:]), keyOf(b[16:]), nil
}

func goneKey(n Notice) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixGone), uint64(n))
}

// order is where a waiting job stands in its endpoint's line.
func (j *Job) order() uint64 {
	if j.Tries == 0 && j.Revived == 0 {
		return j.Key.Seq
	}
	return orderLate | uint64(j.Due)
}

func (j *Job) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 192+len(j.URL))}
	version, party := uint64(jobVersion), string(j.Affiliate)
	if j.Seller != "" {
		version, party = hookVersion, string(j.Seller)
	}
	tried := len(j.Attempts) > 0 || j.Revived != 0
	if tried {
		version += triedVersion - jobVersion
	}
	w.Uint(version)
	w.Uint(uint64(j.State))
	w.Text(party)
	w.Raw(j.Lead[:])
	w.Text(j.Event)
	w.Text(j.ConversionID)
	w.Text(j.Endpoint)
	w.Uint(uint64(j.Notice))
	w.Text(string(j.URL))
	w.Int(j.Created)
	w.Int(j.Due)
	w.Text(j.Reason)
	w.Uint(uint64(len(j.Attempts)))
	for _, a := range j.Attempts {
		w.Int(a.At)
		w.Uint(uint64(a.Status))
		w.Text(a.Fault)
		w.Uint(uint64(a.Verdict))
		w.Text(string(a.Said))
	}
	if tried {
		w.Int(j.Revived)
		w.Uint(uint64(j.Tries))
	}
	return w.B
}

func decodeJob(k Key, b []byte) (Job, error) {
	r := wire.Reader{B: b}
	version := r.Uint()
	if version < jobVersion || version > triedHookVersion {
		return Job{}, fmt.Errorf("postback job: version %d, expected %d to %d", version, jobVersion, triedHookVersion)
	}
	tried := version >= triedVersion
	j := Job{Key: k, State: State(r.Uint())}
	if party := r.Text(); version == hookVersion || version == triedHookVersion {
		j.Seller = exchange.SellerID(party)
	} else {
		j.Affiliate = exchange.AffiliateID(party)
	}
	r.Raw(j.Lead[:])
	j.Event, j.ConversionID, j.Endpoint = r.Text(), r.Text(), r.Text()
	j.Notice = Notice(r.Uint())
	j.URL = exchange.Sealed(r.Text())
	j.Created, j.Due, j.Reason = r.Int(), r.Int(), r.Text()
	for range min(r.Count(), attemptsMax) {
		a := Attempt{At: r.Int(), Status: int(r.Uint()), Fault: r.Text()}
		if tried {
			a.Verdict, a.Said = Verdict(r.Uint()), exchange.Sealed(r.Text())
		} else {
			a.Verdict = verdictOfRecord(&a)
		}
		j.Attempts = append(j.Attempts, a)
	}
	j.Tries = len(j.Attempts)
	if tried {
		j.Revived, j.Tries = r.Int(), int(r.Uint())
	}
	if err := r.Err(); err != nil {
		return Job{}, fmt.Errorf("postback job: %w", err)
	}
	return j, nil
}

// verdictOfRecord is what an attempt meant that was written before verdicts were.
func verdictOfRecord(a *Attempt) Verdict {
	switch a.Fault {
	case "":
		return verdictOf(a.Status, nil)
	case "egress_refused":
		return VerdictRefused
	default:
		return VerdictRetry
	}
}

// Counts says where the jobs stand. Created = Waiting + Delivered + Dead + NotSent.
type Counts struct {
	Created   uint64 `json:"created"`
	Waiting   uint64 `json:"waiting"`
	Delivered uint64 `json:"delivered"`
	Dead      uint64 `json:"dead"`
	NotSent   uint64 `json:"not_sent"`
}

// totals are kept in two records, one per writer, so that the follower's batch
// and the sender's never write the same key.
func encodeTotals(a, b uint64) []byte {
	w := wire.Writer{}
	w.Uint(jobVersion)
	w.Uint(a)
	w.Uint(b)
	return w.B
}

func readTotals(space Space, key string) (a, b uint64, err error) {
	v, ok, err := space.Get([]byte(key))
	if err != nil || !ok {
		return 0, 0, err
	}
	r := wire.Reader{B: v}
	r.Uint()
	a, b = r.Uint(), r.Uint()
	return a, b, r.Err()
}
