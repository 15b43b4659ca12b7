package world

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"
)

// clientConnsMax bounds the connections of one Client.
const clientConnsMax = 4096

// Dial opens a connection to the exchange; nil dials TCP.
type Dial func(addr string, timeout time.Duration) (net.Conn, error)

// Client speaks HTTP to one address and never re-sends anything by itself. It
// is safe for concurrent use.
type Client struct {
	// Watch, if set before the first request, sees every answer. It keeps nothing of it, and several may come at once.
	Watch func(Call, *fasthttp.Response)

	http fasthttp.HostClient
}

// NewClient returns a client of addr (host:port).
func NewClient(addr string, dial Dial) *Client {
	c := &Client{http: fasthttp.HostClient{
		Addr:                      addr,
		MaxConns:                  clientConnsMax,
		MaxIdleConnDuration:       5 * time.Second,
		MaxIdemponentCallAttempts: 1,
		RetryIfErr:                func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
		NoDefaultUserAgentHeader:  true,
		DisablePathNormalizing:    true,
	}}
	c.http.DialTimeout = fasthttp.DialFuncWithTimeout(dial)
	if dial == nil {
		c.http.DialTimeout = func(addr string, timeout time.Duration) (net.Conn, error) {
			return net.DialTimeout("tcp", addr, timeout)
		}
	}
	return c
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call is one request.
type Call struct {
	Method, Path string
	Key          string // Bearer key, "" for none
	Idem         string // Idempotency-Key, "" for none
	Type         string // Content-Type; "" is application/json where there is a body
	Body         []byte
	Timeout      time.Duration // 15 s if zero
}

// Reply is the answer to a Call.
type Reply struct {
	Status     int
	Type       string
	Location   string
	RetryAfter string
	Cookie     string
	Body       []byte
}

// Get returns a value of the JSON body by its gjson path.
func (r *Reply) Get(path string) gjson.Result { return gjson.GetBytes(r.Body, path) }

// ErrNoAnswer means that the request may have been read, and no answer came.
var ErrNoAnswer = errors.New("no answer")

// Do sends one request and reads the whole answer. Any failure is ErrNoAnswer, with its cause.
func (c *Client) Do(call Call) (Reply, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(call.Method)
	req.SetRequestURI("http://" + c.http.Addr + call.Path)
	if call.Key != "" {
		req.Header.Set("Authorization", "Bearer "+call.Key)
	}
	if call.Idem != "" {
		req.Header.Set("Idempotency-Key", call.Idem)
	}
	if call.Body != nil {
		if call.Type == "" {
			call.Type = "application/json"
		}
		req.Header.SetContentType(call.Type)
		req.SetBodyRaw(call.Body)
	}
	if call.Timeout == 0 {
		call.Timeout = 15 * time.Second
	}
	if err := c.http.DoTimeout(req, resp, call.Timeout); err != nil {
		return Reply{}, fmt.Errorf("%s %s: %w: %w", call.Method, call.Path, ErrNoAnswer, err)
	}
	if c.Watch != nil {
		c.Watch(call, resp)
	}
	return Reply{
		Status:     resp.StatusCode(),
		Type:       string(resp.Header.ContentType()),
		Location:   string(resp.Header.Peek("Location")),
		RetryAfter: string(resp.Header.Peek("Retry-After")),
		Cookie:     string(resp.Header.Peek("Set-Cookie")),
		Body:       append([]byte(nil), resp.Body()...),
	}, nil
}

// Post sends a JSON body with a key.
func (c *Client) Post(path, key, idem string, body string) (Reply, error) {
	return c.Do(Call{Method: fasthttp.MethodPost, Path: path, Key: key, Idem: idem, Body: []byte(body)})
}

// Fetch gets a path with a key.
func (c *Client) Fetch(path, key string) (Reply, error) {
	return c.Do(Call{Method: fasthttp.MethodGet, Path: path, Key: key})
}

// Untold picks the receipts whose verdict the buyer booked and could not tell.
func Untold(receipts []Receipt) []Receipt {
	var out []Receipt
	for i := range receipts {
		if r := &receipts[i]; r.Told != ToldAnswer && r.Told != ToldDown {
			out = append(out, *r)
		}
	}
	return out
}

// Settle lets a buyer tell the exchange verdicts that it booked, through
// /v1/buyers/outcome. It returns how many the exchange took, and every refusal.
func Settle(c *Client, key string, receipts []Receipt) (settled int, err error) {
	for i := range receipts {
		r := &receipts[i]
		bid := ""
		if r.BidID != "" {
			bid = fmt.Sprintf(`"bid_id":%q,`, r.BidID)
		}
		body := fmt.Sprintf(`{"lead_id":%q,%s"accepted":%t,"id":%q}`, r.LeadID, bid, r.Accepted, r.Buyer+"-"+r.BidID)
		reply, e := c.Post("/v1/buyers/outcome", key, "", body)
		switch {
		case e != nil:
			err = errors.Join(err, e)
		case reply.Status != fasthttp.StatusOK:
			err = errors.Join(err, fmt.Errorf("outcome of lead %s: status %d: %s", r.LeadID, reply.Status, reply.Get("detail").String()))
		default:
			settled++
		}
	}
	return settled, err
}
