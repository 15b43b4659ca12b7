package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"vendue/bidder"
	"vendue/bidder/adapters"
	"vendue/configs"
	"vendue/exchange"
	"vendue/exchange/api"
)

// buyerTry is what `vendue buyer try` was asked for.
type buyerTry struct {
	config, contract, lead, reply, phase, token string
	status                                      int
	live, personal                              bool

	w       io.Writer
	in      io.Reader
	cfg     *configs.Config
	terms   *exchange.Contract
	try     bidder.Try
	secrets []string
}

func buyerCommand() *cobra.Command {
	c := &cobra.Command{Use: "buyer", Short: "Look at how a buyer is spoken to"}
	c.AddCommand(buyerTryCommand())
	return c
}

func buyerTryCommand() *cobra.Command {
	var b buyerTry
	c := &cobra.Command{
		Use:   "try --config FILE --contract NAME --lead FILE.json",
		Short: "Show the bytes that a contract's buyer would be sent, and read an answer aloud",
		Long: "Show the exact bytes of a contract's ping and post, secrets hidden and personal values masked, and read an answer\n" +
			"aloud: accepted or not, price, tokens, redirect, and which rule decided. FILE.json is a direct's body. Without --live\n" +
			"nothing is sent. --live sends the ping, or with --phase post the WHOLE LEAD: the buyer may buy it.",
		Example: "  vendue buyer try --config vendue.yaml --contract acme-west --lead lead.json\n" +
			"  vendue buyer try --config vendue.yaml --contract acme-west --lead lead.json --phase ping --reply answer.json\n" +
			"  vendue buyer try --config vendue.yaml --contract acme-west --lead lead.json --phase ping --live",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.w, b.in = cmd.OutOrStdout(), cmd.InOrStdin()
			return b.run()
		},
	}
	needFlag(c, &b.config, "config", "the YAML file")
	needFlag(c, &b.contract, "contract", "the contract's name")
	needFlag(c, &b.lead, "lead", "a direct's body as JSON")
	c.Flags().StringVar(&b.phase, "phase", "", "ping or post; both are shown if not given, and ping is answered")
	c.Flags().StringVar(&b.reply, "reply", "", "a file with the buyer's answer, - for standard input: its body, or all from HTTP/1.1 on")
	c.Flags().IntVar(&b.status, "status", 200, "the HTTP status of --reply, if the text does not say")
	c.Flags().StringVar(&b.token, "token", "", "a bid's tokens for the post, as name=value,name=value")
	c.Flags().BoolVar(&b.live, "live", false, "send it")
	c.Flags().BoolVar(&b.personal, "show-personal", false, "show personal values and the answer as they are")
	return c
}

func (b *buyerTry) run() error {
	if !slices.Contains([]string{"", "ping", "post"}, b.phase) {
		return errors.New("--phase: expected ping or post")
	}
	if b.live && b.reply != "" {
		return errors.New("expected --live or --reply, not both")
	}
	var err error
	if b.cfg, err = loadConfig(b.w, b.config); err != nil {
		return err
	}
	if b.terms = b.cfg.Market.ByName[exchange.ContractID(b.contract)]; b.terms == nil {
		return wanting{fmt.Errorf("%s has no contract %q", b.config, b.contract)}
	}
	text, err := readBounded(b.lead)
	if err != nil {
		return wanting{err}
	}
	req, err := api.ParseWholeLead(b.cfg.Market, text)
	if err != nil {
		return wanting{fmt.Errorf("%s: %w", b.lead, err)}
	}
	if req.Campaign.Vertical != b.terms.Vertical {
		return wanting{fmt.Errorf("%s: the campaign's vertical is %q, the contract's %q", b.lead, req.Campaign.Vertical.ID, b.terms.Vertical.ID)}
	}
	t := bidder.NewTransport(bidder.TransportConfig{Dial: b.dialer()}, zerolog.Nop(), metrics.NewSet())
	defer func() { _ = t.Close() }()
	b.secrets = slices.Clone(b.cfg.Bidder.Secrets)
	only := b.cfg.Bidder.Contracts[b.terms.Index]
	for _, e := range []bidder.Endpoint{only.Ping, only.Post} {
		for _, h := range e.Headers {
			b.secrets = append(b.secrets, h.Value)
		}
	}
	all, err := bidder.New(b.cfg.Bidder, t)
	if err != nil {
		return wanting{err}
	}
	b.try = all.Try(b.terms)
	return b.show(req)
}

// dialer refuses unless the try is live, so that nobody hears of it.
func (b *buyerTry) dialer() func(string, string, time.Duration) (net.Conn, error) {
	if b.live {
		return nil
	}
	return func(string, string, time.Duration) (net.Conn, error) { return nil, errors.New("not live") }
}

// show goes through the phases in their order.
func (b *buyerTry) show(req *api.ParsedLead) error {
	now := time.Now()
	whole := &exchange.Lead{Vertical: b.terms.Vertical, Values: req.Values}
	ask := &exchange.Ask{
		Lead: pingPart(whole), Sale: req.Sale, Test: req.Test, Start: now, Deadline: now.Add(max(b.terms.PingTimeout, 10*time.Second)), Contracts: []*exchange.Contract{b.terms},
	}
	d := &exchange.Delivery{
		Leg: 1, Contract: b.terms, Price: b.terms.Price, Lead: whole, Consent: &req.Consent, Test: req.Test,
		Token: strings.ReplaceAll(b.token, ",", "\x1f"), Deadline: now.Add(max(b.terms.PostTimeout, 10*time.Second)),
	}
	if b.terms.Pinged && b.phase != "post" {
		if b.live && !b.try.Ready(false, ask.Test, ask.Deadline) {
			return wanting{errors.New("the buyer's side gave no credential in time")}
		}
		request := b.try.Ping(ask)
		reply, err := b.step("ping", request, request, ask.Test, ask.Deadline)
		if err != nil {
			return err
		}
		if reply != nil {
			bid := b.try.ReadPing(reply)
			if err := b.sayBid(&bid); err != nil {
				return err
			}
			d.Price = bid.Price
			if b.token == "" {
				d.Token = bid.Token
			}
		}
	}
	if b.phase == "ping" {
		return nil
	}
	return b.showPost(d, now)
}

func (b *buyerTry) showPost(d *exchange.Delivery, now time.Time) error {
	if b.live && b.phase == "post" && !b.try.Ready(true, d.Test, d.Deadline) {
		return wanting{errors.New("the buyer's side gave no credential in time")}
	}
	shown := *d
	if !b.personal {
		shown.Lead = masked(d.Lead)
	}
	if b.phase != "post" && b.terms.Pinged {
		return b.bytes("post", b.try.Post(&shown, now)) // one answer at a time: the ping's was read
	}
	reply, err := b.step("post", b.try.Post(d, now), b.try.Post(&shown, now), d.Test, d.Deadline)
	if err != nil || reply == nil {
		return err
	}
	v := b.try.ReadPost(reply, d)
	return b.sayVerdict(&v)
}

// pingPart is a lead without what a ping may not carry.
func pingPart(whole *exchange.Lead) *exchange.Lead {
	out := &exchange.Lead{Vertical: whole.Vertical, Values: slices.Clone(whole.Values)}
	for i := range out.Values {
		if f := &whole.Vertical.Fields[i]; f.Ping == exchange.NeedNot || f.Personal {
			out.Values[i] = exchange.Value{}
		}
	}
	return out
}

// masked strikes out every letter and digit of the personal values but a phone's
// country code, which decides how a format writes the number.
func masked(whole *exchange.Lead) *exchange.Lead {
	out := &exchange.Lead{Vertical: whole.Vertical, Values: slices.Clone(whole.Values)}
	for i := range out.Values {
		if !whole.Vertical.Fields[i].Personal {
			continue
		}
		country := ""
		if whole.Vertical.Fields[i].Kind == exchange.FieldPhone && strings.HasPrefix(out.Values[i].Text, "+1") {
			country = "+1"
		}
		out.Values[i].Text = country + strings.Map(func(r rune) rune {
			switch {
			case r >= '0' && r <= '9':
				return '0'
			case strings.ContainsRune(" +-@.:/_", r):
				return r
			default:
				return 'x'
			}
		}, out.Values[i].Text[len(country):])
	}
	return out
}

// step shows one request and gets its answer, if there is one to get.
func (b *buyerTry) step(phase string, request, shown []byte, test bool, deadline time.Time) (*adapters.Reply, error) {
	if err := b.bytes(phase, shown); err != nil {
		return nil, err
	}
	switch {
	case b.live:
		r, err := b.try.Send(request, phase == "post", test, deadline)
		if err != nil {
			return nil, wanting{fmt.Errorf("%s: %w", phase, err)}
		}
		text := "(hidden; --show-personal shows it)"
		if b.personal {
			text = string(r.Body)
		}
		return &r, tell(b.w, "--- answer: HTTP %d, %d bytes\n%s\n", r.Status, len(r.Body), text)
	case b.reply == "":
		return nil, nil //nolint:nilnil // no answer to read is no fault
	default:
		return b.pasted()
	}
}

// bytes shows a request, its secrets hidden.
func (b *buyerTry) bytes(phase string, request []byte) error {
	text := string(request)
	for _, secret := range b.secrets {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(secret)
		for _, form := range []string{secret, strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"), quoted} {
			if form != "" {
				text = strings.ReplaceAll(text, form, "(hidden)")
			}
		}
	}
	var out strings.Builder
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Authorization") {
			line = name + ": (hidden)"
		}
		out.WriteString(line + "\n")
	}
	return tell(b.w, "--- %s\n%s\n%s\n", phase, out.String(), body)
}

// pasted reads the answer that was given.
func (b *buyerTry) pasted() (*adapters.Reply, error) {
	var text []byte
	if b.reply == "-" {
		raw, err := io.ReadAll(io.LimitReader(b.in, leadFileBytesMax))
		if err != nil {
			return nil, wanting{err}
		}
		text = raw
	} else {
		s, err := readBounded(b.reply)
		if err != nil {
			return nil, wanting{err}
		}
		text = []byte(s)
	}
	if !bytes.HasPrefix(text, []byte("HTTP/")) {
		return &adapters.Reply{Status: b.status, Body: text}, nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
	if err != nil {
		return nil, wanting{fmt.Errorf("%s: expected an HTTP answer", b.reply)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, leadFileBytesMax))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, wanting{err}
	}
	return &adapters.Reply{Status: resp.StatusCode, Body: body}, nil
}

func (b *buyerTry) sayBid(bid *adapters.Bid) error {
	if bid.Reason != exchange.ReasonNone {
		return tell(b.w, "--- read as: no bid: %s\n%s", bid.Reason, said("why", bid.Detail)+said("rule", bid.Rule))
	}
	out := said("price", bid.Price.String()) + said("rule", bid.Rule)
	for one := range strings.SplitSeq(bid.Token, "\x1f") {
		out += said("token", one)
	}
	if bid.ExpiresIn > 0 {
		out += said("expires in", bid.ExpiresIn.String())
	}
	return tell(b.w, "--- read as: a bid\n%s", out)
}

func (b *buyerTry) sayVerdict(v *adapters.Verdict) error {
	redirect := v.RedirectURL
	if u, err := url.Parse(redirect); err == nil && redirect != "" && !b.personal {
		redirect = u.Scheme + "://" + u.Host + "/.. (hidden; --show-personal shows it)"
	}
	if v.RedirectDropped {
		redirect = "dropped: no address that a consumer may be sent to"
	}
	out := said("reason", v.Reason.String()) + said("why", v.Detail) + said("rule", v.Rule) + said("buyer's id", v.Ref) + said("redirect", redirect)
	if v.PriceChanged {
		out += said("price", "not the bid; the sale stands at the bid")
	}
	return tell(b.w, "--- read as: %s\n%s", v.Outcome, out)
}

func said(what, text string) string {
	if text == "" {
		return ""
	}
	return what + ": " + text + "\n"
}
