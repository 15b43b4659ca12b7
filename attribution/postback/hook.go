package postback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"vendue/exchange"
)

// EventLeadSettled is the event of a seller's webhook: a lead that was told pending has its final answer.
const EventLeadSettled = "lead.settled"

// hookNo is a webhook's place among the jobs of one event: behind any postback of the same sale.
const hookNo = 1<<16 - 1

// Hook is where a seller wants to hear how its pending leads ended.
type Hook struct {
	Seller exchange.SellerID
	URL    string // CheckHook finds no fault in it
	Secret []byte // signs each request by Standard Webhooks 1.0.0 if set
}

// hook is a Hook with what follows from it. It is immutable.
type hook struct {
	Hook
	endpoint string
	notice   Notice
}

// CheckHook tells what is wrong with a webhook's URL. A fault is a *SyntaxError.
func CheckHook(url string) error {
	t, err := Parse(url)
	if err != nil {
		return err
	}
	for i := range t.parts {
		if t.parts[i].macro != 0 {
			return &SyntaxError{strings.IndexByte(url, '{'), "no macro may stand here; the body says all there is"}
		}
	}
	return nil
}

// hooksOf finds each seller's hook. One that is not a URL stands without an endpoint: its jobs end as not sent.
func hooksOf(list []Hook) map[exchange.SellerID]hook {
	hooks := make(map[exchange.SellerID]hook, len(list))
	for _, h := range list {
		entry := hook{Hook: h, notice: NoticeOf(exchange.AffiliateID("seller/"+h.Seller), EventLeadSettled, h.URL)}
		if CheckHook(h.URL) == nil {
			entry.endpoint, _, _ = parseOrigin(h.URL)
		}
		hooks[h.Seller] = entry
	}
	return hooks
}

// Settled adds the job that tells a seller of a lead's final answer, if the
// seller has a webhook. seq is that of the event that settled the lead.
func (in *Intake) Settled(seq uint64, seller exchange.SellerID, lead exchange.LeadID) {
	h, ok := (*in.sender.hooks.Load())[seller]
	if !ok {
		return
	}
	j := Job{
		Key: Key{Seq: seq, No: hookNo}, Seller: seller, Lead: lead, Event: EventLeadSettled, ConversionID: lead.String() + "-settled",
		Endpoint: h.endpoint, Notice: h.notice, Created: in.Now(),
	}
	reason := ""
	if h.endpoint == "" {
		reason = "url"
	}
	in.Add(j, nil, reason)
}

// render makes a job's request. A webhook's is made anew for each attempt, from
// the config and the journal as they are: the job's record holds neither the
// answer nor the URL, and a URL that was mended is used at once. A postback's
// stands in its job but for the secrets. reason, if not empty, says what the
// config does not have any more.
func (s *Sender) render(j *Job) (q request, reason string, err error) {
	if j.Seller == "" {
		kept, err := s.vault.Unseal(j.URL)
		if err != nil {
			return request{}, "", err
		}
		p := s.plan(j.Notice)
		q, ok := requestOf([]byte(kept), p, unixSeconds(s.http.clock.Now()), false)
		if !ok {
			return request{}, "no_secret", nil
		}
		if q.body != nil && p != nil {
			// A credit's events share its conversion id, and a receiver drops what it had under the same webhook-id.
			q.id, q.secret = j.ConversionID+"-"+j.Event, p.Secret
		}
		return q, "", nil
	}
	h, ok := (*s.hooks.Load())[j.Seller]
	if !ok || h.endpoint == "" {
		return request{}, "no_webhook", nil
	}
	j.Notice = h.notice
	body, err := s.answer(j.Lead, j.Key.Seq)
	return request{url: []byte(h.URL), body: body, id: j.ConversionID, secret: h.Secret}, "", err
}

// plan returns the config's plan of a notice, nil if it is not asked for any more.
func (s *Sender) plan(n Notice) *Plan { return (*s.plans.Load())[n] }

// signQuery is what {sig} stands for.
func signQuery(secret, query []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(query)
	return hex.AppendEncode(nil, mac.Sum(nil))
}

// signatureOf is the webhook-signature of Standard Webhooks 1.0.0; seconds is the webhook-timestamp.
func (q *request) signatureOf(seconds string) string {
	mac := hmac.New(sha256.New, q.secret)
	mac.Write([]byte(q.id + "." + seconds + ".")) // a hash never fails
	mac.Write(q.body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func unixSeconds(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
