package bidder

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icholy/digest"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Auth is how a contract's requests prove who sends them, beyond constant
// headers. At most one field is set.
type Auth struct {
	Digest *DigestAuth
	OAuth2 *OAuth2Auth
	HMAC   *HMACAuth
}

// DigestAuth is RFC 7616's: the secret never leaves, the buyer gives a nonce.
type DigestAuth struct{ User, Password string }

// OAuth2Auth is the client credentials grant.
type OAuth2Auth struct{ TokenURL, ClientID, ClientSecret, Scope string }

// HMACAuth signs each request.
type HMACAuth struct {
	Secret     []byte
	Header     string   // that holds the signature
	TimeHeader string   // that holds the Unix time, if any
	Over       []string // body, time, method, target; anything else stands for itself
	Hash       string   // sha256, sha1 or sha512
	Base64     bool     // else hexadecimal
	Prefix     string   // before the signature
}

// The times of what is fetched from a buyer's side ahead of need.
const (
	fetchMax     = 10 * time.Second // of one fetch
	nonceEvery   = 2 * time.Minute  // servers forget a nonce after some five
	tokenLifeDef = time.Hour        // of a token that says nothing of it
	tokenSkew    = 2 * time.Second  // so long before its end a token is no longer sent
)

// signed is one request as an authorizer sees it.
type signed struct {
	method, target string
	body           []byte
	now            time.Time
}

// authorizer adds the header lines that prove who sends a request.
type authorizer interface {
	// ready tells whether there is what a request needs; nobody waits for it.
	ready(now time.Time) bool
	// append appends the header lines of one request.
	append(dst []byte, s *signed) []byte
	// refused hears of a 401 and its headers. It tells whether another try could fare better at once.
	refused(head []byte) bool
}

var errNotReady = errors.New("no credential from the buyer's side yet")

// newAuthorizer returns nil if a contract needs none. What must be fetched is
// fetched by the transport's keeper, which outlives a reload.
func newAuthorizer(t *Transport, a *Auth, end *endpoint) authorizer {
	switch {
	case a.HMAC != nil:
		return &hmacAuth{a.HMAC}
	case a.OAuth2 != nil:
		o := a.OAuth2
		return t.keeper("oauth2\x00"+o.TokenURL+"\x00"+o.ClientID+"\x00"+o.ClientSecret+"\x00"+o.Scope, func() fetcher {
			return &tokenFetcher{config: clientcredentials.Config{
				ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: strings.Fields(o.Scope),
			}}
		})
	case a.Digest != nil:
		scheme := "http://"
		if end.host.key.secure {
			scheme = "https://"
		}
		s := end.spoken
		place := scheme + s.url.Base.Host + s.target
		k := t.keeper("digest\x00"+s.method+"\x00"+place+"\x00"+a.Digest.User+"\x00"+a.Digest.Password, func() fetcher {
			return &nonceFetcher{method: s.method, url: place}
		})
		return &digestAuth{login: *a.Digest, keeper: k}
	default:
		return nil
	}
}

// hmacAuth signs each request anew.
type hmacAuth struct{ *HMACAuth }

func (*hmacAuth) ready(time.Time) bool { return true }

func (*hmacAuth) refused([]byte) bool { return false }

func (a *hmacAuth) append(dst []byte, s *signed) []byte {
	seconds := strconv.FormatInt(s.now.Unix(), 10)
	mac := hmac.New(hashes(a.Hash), a.Secret)
	for _, part := range a.Over {
		switch part {
		case "body":
			mac.Write(s.body) // a hash never fails
		case "time":
			mac.Write([]byte(seconds))
		case "method":
			mac.Write([]byte(s.method))
		case "target":
			mac.Write([]byte(s.target))
		default:
			mac.Write([]byte(part))
		}
	}
	if a.TimeHeader != "" {
		dst = append(append(append(dst, a.TimeHeader...), ": "...), seconds+"\r\n"...)
	}
	dst = append(append(append(dst, a.Header...), ": "...), a.Prefix...)
	if a.Base64 {
		dst = base64.StdEncoding.AppendEncode(dst, mac.Sum(nil))
	} else {
		dst = hex.AppendEncode(dst, mac.Sum(nil))
	}
	return append(dst, "\r\n"...)
}

func hashes(word string) func() hash.Hash {
	switch word {
	case "sha1":
		return sha1.New
	case "sha512":
		return sha512.New
	default:
		return sha256.New
	}
}

// digestAuth answers the challenge that its keeper got last.
type digestAuth struct {
	login  DigestAuth
	keeper *keeper
}

func (a *digestAuth) ready(now time.Time) bool { return a.keeper.ready(now) }

func (a *digestAuth) append(dst []byte, s *signed) []byte {
	held := a.keeper.held.Load()
	if held == nil || held.challenge == nil {
		return dst
	}
	c, err := digest.Digest(held.challenge, digest.Options{
		Method: s.method, URI: s.target, Username: a.login.User, Password: a.login.Password, Count: int(held.uses.Add(1)),
	})
	if err != nil {
		return dst // an algorithm that nobody can speak: the buyer refuses, and its answer says so
	}
	return append(append(append(dst, "Authorization: "...), c.String()...), "\r\n"...)
}

// refused takes the fresh challenge of a refusal. The same one again means a wrong password.
func (a *digestAuth) refused(head []byte) bool {
	c := challengeOf(head)
	old := a.keeper.held.Load()
	if c == nil || (old != nil && old.challenge != nil && old.challenge.Nonce == c.Nonce) {
		return false
	}
	a.keeper.held.Store(&credential{challenge: c, until: time.Now().Add(2 * nonceEvery)})
	return true
}

func challengeOf(head []byte) *digest.Challenge {
	for line := range strings.Lines(string(head)) {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !strings.EqualFold(name, "WWW-Authenticate") || !digest.IsDigest(strings.TrimSpace(value)) {
			continue
		}
		if c, err := digest.ParseChallenge(strings.TrimSpace(value)); err == nil && digest.CanDigest(c) {
			return c
		}
	}
	return nil
}

// credential is what a keeper holds. It is immutable but for its count of uses.
type credential struct {
	line      string            // a whole header line
	challenge *digest.Challenge // or what one is made of
	until     time.Time         // the last instant it is used
	next      time.Time         // when to fetch the next one
	uses      atomic.Int64      // a server may insist that the count of a nonce grows
}

// fetcher gets a credential from a buyer's side.
type fetcher interface {
	fetch(ctx context.Context, client *http.Client) (*credential, error)
}

// keeper keeps one credential fresh. Its goroutine fetches one at the start and
// another before the last ends, with growing pauses while that fails; asks and
// posts take what is held or go without, they never wait for it. It belongs to
// the transport and ends with it: a reload finds what was fetched.
//
// held is the only thing shared with other goroutines.
type keeper struct {
	held atomic.Pointer[credential]
	wake chan struct{}
}

func (k *keeper) ready(now time.Time) bool {
	c := k.held.Load()
	return c != nil && now.Before(c.until)
}

func (k *keeper) append(dst []byte, _ *signed) []byte {
	if c := k.held.Load(); c != nil {
		dst = append(dst, c.line...)
	}
	return dst
}

// refused has the token fetched anew: it may have been withdrawn.
func (k *keeper) refused([]byte) bool {
	poke(k.wake)
	return false
}

// keepers are a transport's, by what they fetch.
type keepers struct {
	mu   sync.Mutex
	byID map[string]*keeper
}

// keeper returns the keeper of one credential, started at first asking.
func (t *Transport) keeper(id string, made func() fetcher) *keeper {
	t.keepers.mu.Lock()
	defer t.keepers.mu.Unlock()
	if k := t.keepers.byID[id]; k != nil {
		return k
	}
	k := &keeper{wake: make(chan struct{}, 1)}
	if t.keepers.byID == nil {
		t.keepers.byID = map[string]*keeper{}
	}
	t.keepers.byID[id] = k
	t.wg.Go(func() { k.run(t, made()) })
	return k
}

// run fetches until the transport closes.
func (k *keeper) run(t *Transport, f fetcher) {
	pooled := &http.Transport{
		DialContext: func(_ context.Context, network, addr string) (net.Conn, error) {
			return t.cfg.Dial(network, addr, fetchMax)
		},
		TLSClientConfig: t.tls.Clone(), DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}
	client := &http.Client{Transport: pooled, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	pause := backoffMin
	for {
		c, err := t.fetch(f, client)
		wait := pause
		if err == nil {
			k.held.Store(c)
			wait, pause = max(time.Until(c.next), backoffMin), backoffMin
		} else {
			pause = min(2*pause, backoffMax)
		}
		if !k.sleep(t, wait) {
			return
		}
	}
}

// fetch is one fetch, cut short when the transport closes.
func (t *Transport) fetch(f fetcher, client *http.Client) (*credential, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchMax)
	defer cancel()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-t.stop:
			cancel()
		case <-done:
		}
	})
	c, err := f.fetch(ctx, client)
	close(done)
	wg.Wait()
	return c, err
}

// sleep waits until it is time, or a refusal makes it time; false: the transport closes.
func (k *keeper) sleep(t *Transport, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-t.stop:
		return false
	case <-timer.C:
		return true
	case <-k.wake:
	}
	least := time.NewTimer(min(wait, backoffMin)) // refusals cannot make us hammer
	defer least.Stop()
	select {
	case <-t.stop:
		return false
	case <-least.C:
		return true
	}
}

// tokenFetcher gets an access token by the client credentials grant.
type tokenFetcher struct{ config clientcredentials.Config }

func (f *tokenFetcher) fetch(ctx context.Context, client *http.Client) (*credential, error) {
	token, err := f.config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return nil, err
	}
	kind := token.Type()
	if checkHeader(Header{"Authorization", kind + " " + token.AccessToken}) != nil {
		return nil, errNotReady
	}
	now := time.Now()
	life := tokenLifeDef
	if !token.Expiry.IsZero() {
		life = token.Expiry.Sub(now)
	}
	return &credential{line: "Authorization: " + kind + " " + token.AccessToken + "\r\n", until: now.Add(life - tokenSkew), next: now.Add(life - max(life/5, min(life/2, time.Minute)))}, nil
}

// nonceFetcher gets a challenge with a request that holds nothing of a lead.
type nonceFetcher struct{ method, url string }

func (f *nonceFetcher) fetch(ctx context.Context, client *http.Client) (*credential, error) {
	req, err := http.NewRequestWithContext(ctx, f.method, f.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // nothing of it is wanted
	for _, h := range resp.Header.Values("WWW-Authenticate") {
		if c := challengeOf([]byte("WWW-Authenticate: " + h)); c != nil {
			return &credential{challenge: c, until: time.Now().Add(2 * nonceEvery), next: time.Now().Add(nonceEvery)}, nil
		}
	}
	return nil, errNotReady
}
