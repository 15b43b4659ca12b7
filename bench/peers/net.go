//go:build linux

package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// plain is the fan-out with the standard library alone.
type plain struct {
	buyers []string
	client http.Client
}

// said is what a buyer answers to either request.
type said struct {
	Bid      float64 `json:"bid"`
	Accepted bool    `json:"accepted"`
}

func serveNet(ln net.Listener, buyers []string) error {
	p := &plain{buyers: buyers, client: http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connsMax, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
	}}}
	s := &http.Server{Handler: http.HandlerFunc(p.handle), ReadHeaderTimeout: time.Minute}
	if err := s.Serve(ln); err != nil {
		return fmt.Errorf("cannot serve: %w", err)
	}
	return nil
}

func (p *plain) handle(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pingLimit)
	defer cancel()
	bids := make([]float64, len(p.buyers))
	var all sync.WaitGroup
	for i := range p.buyers {
		all.Go(func() { bids[i] = p.ask(ctx, i, "/ping", []byte(pingBody)).Bid })
	}
	all.Wait()
	winner, most := -1, 0.0
	for i, b := range bids {
		if b > most {
			winner, most = i, b
		}
	}
	post, done := context.WithTimeout(r.Context(), postLimit)
	defer done()
	answer := map[string]any{"status": "rejected"}
	if winner >= 0 && p.ask(post, winner, "/post", postBody).Accepted {
		answer = map[string]any{"status": "sold", "buyer": winner, "price": most}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the caller may be gone
}

// ask returns the zero answer for any failure.
func (p *plain) ask(ctx context.Context, i int, path string, body []byte) (out said) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.buyers[i]+path, bytes.NewReader(body))
	if err != nil {
		return said{}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return said{}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(b, &out) != nil {
		return said{}
	}
	return out
}
