package mutants

// mutants is what has been tried so far. The first six are the ones that the
// house was designed against.
var mutants = []mutant{
	{
		name: "no sync before the answer", file: "store/journal.go",
		old:    "case <-p.done:",
		new:    "default:",
		suites: []string{"./store", "./bench/sim"},
	},
	{
		name: "cap never released", file: "exchange/book/book.go", quick: true,
		old:    "w.Held -= h.Amount\n\t\tif commit {",
		new:    "if commit {\n\t\t\tw.Held -= h.Amount",
		suites: []string{"./exchange/book"},
	},
	{
		name: "a late answer is given to the next ping", file: "bidder/ask.go",
		old:    "f.b.t.drain(t.conn, t.c.ms, now)\n\t}\n\tt.conn, t.dial = nil, nil",
		new:    "t.conn.host.keep(t.conn, now, 0)\n\t}\n\tt.conn, t.dial = nil, nil",
		suites: []string{"./bidder"},
	},
	{
		name: "cursor moves without its batch", file: "attribution/attribution.go",
		old:    "\t\t\tover.write(b)\n",
		new:    "\t\t\tif count == (decided{}) {\n\t\t\t\tover.write(b)\n\t\t\t}\n",
		suites: []string{"./attribution"},
	},
	{
		name: "the seller is answered before the outcome is synced", file: "exchange/engine/deliver.go",
		old:    "if err == nil {\n\t\t\terr = e.wait(w)\n\t\t}",
		new:    "if err == nil {\n\t\t\tgo func() { _ = e.wait(w) }()\n\t\t}",
		suites: []string{"./exchange/engine", "./bench/sim"},
	},
	{
		name: "an unknown lead goes on to the next buyer", file: "exchange/engine/deliver.go",
		old:    "(r.Outcome == exchange.OutcomeUnknown && c.contract.OnUnknown == exchange.OnUnknownContinue)",
		new:    "r.Outcome == exchange.OutcomeUnknown",
		suites: []string{"./exchange/engine"},
	},
	{
		name: "personal data leaves before the attempt is synced", file: "exchange/engine/deliver.go",
		old:    "if err := e.wait(w); err != nil {\n\t\treturn faulted(exchange.ReasonJournalUnavailable)\n\t}\n\tfor {",
		new:    "go func() { _ = e.wait(w) }()\n\tfor {",
		suites: []string{"./exchange/engine"},
	},
	{
		name: "an attempt cut short by a crash is taken for none", file: "exchange/engine/recover.go",
		old:    "if l.Unknown {\n\t\t\treturn\n\t\t}",
		new:    "if l.Unknown || l.Attempt > 0 {\n\t\t\treturn\n\t\t}",
		suites: []string{"./exchange/engine"},
	},
	{
		name: "a forged id passes", file: "exchange/id.go", quick: true,
		old:    "if subtle.ConstantTimeCompare(v[idSigned:], want[idSigned:]) != 1 || IDKind(v[6]>>4) != kind {",
		new:    "if subtle.ConstantTimeCompare(v[idSigned:], want[idSigned:]) > 1 || IDKind(v[6]>>4) != kind {",
		suites: []string{"./exchange"},
	},
	{
		name: "the same key with another body is answered", file: "exchange/engine/post.go",
		old:    "case view.Facts.Body != facts.Body:",
		new:    "case false:",
		suites: []string{"./exchange/engine"},
	},
	{
		name: "a person in doubt is sold again", file: "exchange/engine/journey.go",
		old:    "if leg.Status == exchange.LegRejected {",
		new:    "if leg.Status == exchange.LegRejected || leg.Status == exchange.LegPending {",
		suites: []string{"./exchange/engine"},
	},
	{
		name: "a seller is paid less than promised", file: "exchange/auction/auction.go",
		old:    "return bid > 0 && bid >= promised && bid-promised >= t.MarginMin.Of(bid)",
		new:    "return bid > 0",
		suites: []string{"./exchange/auction"},
	},
	{
		name: "personal fields are shown in pings", file: "bidder/adapters/native.go",
		old:    "return f.Ping != exchange.NeedNot && !f.Personal",
		new:    "return true",
		suites: []string{"./bidder/adapters", "./bidder"},
	},
	{
		name: "a damaged record is believed", file: "store/record.go",
		old:    "if binary.LittleEndian.Uint64(rec) != xxhash.Sum64(rec[recordSumBytes:]) {",
		new:    "if binary.LittleEndian.Uint64(rec) == 1 {",
		suites: []string{"./store"},
	},
	{
		name: "a post is sent again after its bytes left", file: "bidder/post.go",
		old:    "if n > 0 || kept == nil {",
		new:    "if kept == nil {",
		suites: []string{"./bidder"},
	},
	{
		name: "an expired quote is honoured", file: "exchange/book/quotes.go",
		old:    "if !ok || now.Sub(q.first) >= at.expires {",
		new:    "if !ok {",
		suites: []string{"./exchange/book", "./exchange/engine"},
	},
	{
		name: "a settled lead is settled again", file: "exchange/engine/settle.go",
		old:    "case leg.Unknown:",
		new:    "case leg.Unknown || leg.Settled:",
		suites: []string{"./exchange/engine"},
	},
	{
		name: "a sale after the window is credited", file: "attribution/credit.go",
		old:    "case gap > min(window, windowSecMax)*int64(time.Second):",
		new:    "case gap > 2*min(window, windowSecMax)*int64(time.Second):",
		suites: []string{"./attribution"},
	},
	{
		name: "a cap's window is that of the machine's clock, not of the event's", file: "exchange/engine/journey.go",
		old:    "Window: caps[i].Per.Start(now, j.snap.Market.Zone), Amount",
		new:    "Window: caps[i].Per.Start(time.Now(), j.snap.Market.Zone), Amount",
		suites: []string{"./bench/sim"},
	},
	{
		name: "a cap is empty in a window whose counts are forgotten", file: "exchange/book/book.go", quick: true,
		old:    " || c.forgot(holds[i].Window)",
		new:    "",
		suites: []string{"./exchange/book"},
	},
	{
		name: "a lead is posted again to a buyer that declared nothing", file: "configs/buyer.go",
		old:    "c.Idempotent = l.boolean(p.opt(\"idempotent\"))",
		new:    "c.Idempotent = l.boolean(p.opt(\"idempotent\")) || true",
		suites: []string{"./bench/sim"},
	},
	{
		name: "another buyer's word is taken", file: "exchange/engine/settle.go",
		old:    "(v.Buyer != \"\" && leg.Buyer != v.Buyer) || (named",
		new:    "(named",
		suites: []string{"./bench/sim"},
	},
	{
		name: "a settled doubt frees its cap twice", file: "exchange/book/book.go",
		old:    "\t\tw.Held -= h.Amount\n\t\tif commit {",
		new:    "\t\tw.Held -= h.Amount\n\t\tif leg.Unknown {\n\t\t\tw.Held -= h.Amount\n\t\t}\n\t\tif commit {",
		suites: []string{"./bench/sim"},
	},
	{
		name: "a doubt is assumed away before its time", file: "exchange/book/doubt.go",
		old:    "end := since.Add(c.SettleAfter);",
		new:    "end := since;",
		suites: []string{"./bench/sim"},
	},
	{
		name: "a seller's webhook is not told", file: "attribution/fold.go",
		old:    "if e.at == 0 && f.settled != nil {",
		new:    "if e.at == 0 && f.settled != nil && e.accepted {",
		suites: []string{"./bench/sim"},
	},
	{
		name: "a buyer's certificate is not looked at", file: "bidder/transport.go",
		old:    "RootCAs:            cfg.RootCAs,",
		new:    "InsecureSkipVerify: true,",
		suites: []string{"./bidder"},
	},
}
