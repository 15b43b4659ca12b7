//go:build linux

package peers

import (
	"bytes"
	_ "embed" // of the script for Node.js
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// Kinds of peer that Serve knows.
const (
	Raw       = "raw"      // one goroutine writes all pings and then gathers, on kept connections
	RawLog    = "raw+log"  // the same, with one event on disk before the answer
	FastHTTP  = "fasthttp" // a goroutine per ping on fasthttp's client
	NetHTTP   = "net/http" // a goroutine per ping on net/http, with encoding/json
	pingLimit = 250 * time.Millisecond
	postLimit = 2 * time.Second
	connsMax  = 4096 // to one buyer
)

// Script is the same fan-out for Node.js: node FILE BUYER.. ; it prints "ready ADDR".
//
//go:embed fanout.mjs
var Script []byte

// pingBody and postBody are as long as what the exchange sends for the bench's lead.
const pingBody = `{"ping_id":"06gzv5w8q7r2t4y6m8j0p1a2b3c4d5e6","vertical":"auto","contract":"b0-c","tmax_ms":199,"test":false,"sale":"any","lead":{"zip":"94107","state":"CA","age":34,"gender":"F","credit":"good","homeowner":false,"currently_insured":true,"current_carrier":"Example Mutual","coverage_months":26,"city":"San Francisco"}}`

var (
	postBody = bytes.Repeat([]byte("x"), 700)
	pingCall = call("/ping", []byte(pingBody))
	postCall = call("/post", postBody)
	bidKey   = []byte(`"bid":`)
	accepted = []byte(`"accepted":true`)
)

func call(path string, body []byte) []byte {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: buyer\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, len(body))
	return append([]byte(head), body...)
}

// Serve answers POSTs on ln by fanning out to the buyers (host:port), as kind
// does, until ln is closed. logFile is where RawLog keeps its events.
func Serve(kind string, ln net.Listener, buyers []string, logFile string) error {
	switch kind {
	case Raw:
		return serveFast(ln, newRaw(buyers, nil).handle)
	case RawLog:
		log, err := OpenLog(logFile)
		if err != nil {
			return err
		}
		defer func() { _ = log.Close() }()
		return serveFast(ln, newRaw(buyers, log).handle)
	case FastHTTP:
		return serveFast(ln, newFast(buyers).handle)
	case NetHTTP:
		return serveNet(ln, buyers)
	default:
		return fmt.Errorf("no peer %q: expected %s, %s, %s or %s", kind, Raw, RawLog, FastHTTP, NetHTTP)
	}
}

func serveFast(ln net.Listener, h fasthttp.RequestHandler) error {
	s := &fasthttp.Server{Handler: h, NoDefaultServerHeader: true}
	if err := s.Serve(ln); err != nil {
		return fmt.Errorf("cannot serve: %w", err)
	}
	return nil
}

// tell answers a request: cents is the price of buyer's sale, buyer -1 is none.
func tell(ctx *fasthttp.RequestCtx, buyer int, cents int64) {
	ctx.SetContentType("application/json")
	if buyer < 0 {
		ctx.SetBodyString(`{"status":"rejected"}`)
		return
	}
	_, _ = fmt.Fprintf(ctx, `{"status":"sold","buyer":%d,"price":%d.%02d}`, buyer, cents/100, cents%100) // into memory
}

// best returns the place of the highest number, -1 if none is positive.
func best(cents []int64) (place int, most int64) {
	place = -1
	for i, c := range cents {
		if c > most {
			place, most = i, c
		}
	}
	return place, most
}
