package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"

	"vendue/cmd/app"
	"vendue/exchange"
)

// pastAuction names an auction that was.
type pastAuction struct{ data, ping, contract string }

// explain tells what the tape holds of the auction, by the daemon that has it or from the directory itself.
func (p *pastAuction) explain(w io.Writer, config string) error {
	if p.data == "" || p.ping == "" {
		return errors.New("expected --data and --ping together")
	}
	s, daemon, err := openJournal(p.data)
	if err != nil {
		return err
	}
	var told struct {
		Why *app.Explained `json:"why"`
	}
	if daemon != nil {
		var body bytes.Buffer
		if err := askDaemon(daemon, "/api/explain/"+url.PathEscape(p.ping), url.Values{"contract": {p.contract}}, &body); err != nil {
			return err
		}
		if err := json.Unmarshal(body.Bytes(), &told); err != nil || told.Why == nil {
			return wanting{fmt.Errorf("the daemon's answer cannot be read: %w", err)}
		}
		return told.Why.WriteText(w)
	}
	defer func() { _ = s.Close() }()
	minter, err := exchange.NewMinter(s.IDKey(), 0, func() uint64 { return 0 })
	if err != nil {
		return wanting{err}
	}
	x := app.Explainer{Store: s, Minter: minter, Caps: noCaps{}}
	if config != "" {
		cfg, err := loadConfig(w, config)
		if err != nil {
			return err
		}
		x.Market = cfg.Market
	}
	auction, lead, err := x.Find(p.ping)
	if err != nil {
		return wanting{err}
	}
	if told.Why, err = x.Explain(auction, lead, exchange.ContractID(p.contract)); err != nil {
		return wanting{err}
	}
	return told.Why.WriteText(w)
}
