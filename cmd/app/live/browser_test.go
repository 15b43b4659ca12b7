package live

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
)

// screenshotEnv names the PNG file the test leaves behind; the dark and the narrow page go beside it.
const screenshotEnv = "VENDUE_SCREENSHOT"

// TestPageInChromium opens the page as an operator would.
func TestPageInChromium(t *testing.T) {
	clock := newClock()
	l := New(fullSources(clock))
	feed(l, clock, 11*time.Minute)
	summary := l.Summary()
	address, _ := serve(t, l)
	ctx, seen := openBrowser(t)

	err := chromedp.Do(ctx,
		chromedp.EmulateViewport(1280, 1100),
		chromedp.Navigate("http://"+address+"/"),
		chromedp.WaitVisible(chromedp.CSS(".state.ready")))
	if err != nil {
		t.Fatalf("the page shows no figures: %v\n%s", err, seen)
	}
	expectText(ctx, t, "#state", "Ready")
	expectText(ctx, t, "#leads-sub", grouped(summary.Leads)+" since start")
	expectText(ctx, t, "#contracts tbody tr:nth-child(2) td:nth-child(7)", grouped(rowNamed(t, summary.Contracts, "acme-west").Accepts))
	expectText(ctx, t, "#doubt dd", "3")
	expectText(ctx, t, "#conflicts dd", "2")
	if caps := evaluate[string](ctx, t, `document.querySelector('#caps').textContent`); !strings.Contains(caps, "$4,211 of $20,000") {
		t.Errorf("caps show %q: expected the spend cap of acme-west", caps)
	}
	path := evaluate[string](ctx, t, `document.querySelector('.area.good').getAttribute('d')`)
	if corners := strings.Count(path, "L") + 1; corners != 240 || strings.Contains(path, "NaN") {
		t.Errorf("the plot of sold leads has %d corners: expected 240, two for each of 120 steps", corners)
	}
	asksWhy(ctx, t)
	takePictures(ctx, t)

	for _, width := range []int64{800, 1280} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000)); err != nil {
			t.Fatal(err)
		}
		if evaluate[bool](ctx, t, `document.documentElement.scrollWidth > document.documentElement.clientWidth`) {
			t.Errorf("at %d px the page scrolls sideways", width)
		}
	}
	sorts(ctx, t)
	hovers(ctx, t)
	staysPut(ctx, t, l, clock)
	if faults := seen.faults(address); faults != "" {
		t.Errorf("the browser saw:\n%s", faults)
	}
}

// TestPageOfAnEmptyHouse opens the page where nothing is known yet, and takes the house away while it is open.
func TestPageOfAnEmptyHouse(t *testing.T) {
	why := "the journal is being read"
	address, stop := serve(t, New(Sources{Ready: func() string { return why }}))
	ctx, seen := openBrowser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+address+"/"), chromedp.WaitVisible(chromedp.CSS(".state.wrong"))); err != nil {
		t.Fatalf("%v\n%s", err, seen)
	}
	expectText(ctx, t, "#state", "Not ready: "+why)
	expectText(ctx, t, "#contracts-note", "No contract is configured.")
	expectText(ctx, t, "#caps + .none", "No cap is set.")
	expectText(ctx, t, "#sold", "–")
	if faults := seen.faults(address); faults != "" {
		t.Errorf("the browser saw:\n%s", faults)
	}
	stop()
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS("main.stale"))); err != nil {
		t.Fatalf("the page does not tell that nobody answers: %v", err)
	}
	if text := evaluate[string](ctx, t, `document.querySelector('#state').textContent`); !strings.HasPrefix(text, "No answer since ") {
		t.Errorf("state without a house: %q", text)
	}
}

// staysPut sends more traffic and checks that nothing on the page moved when its figures did.
func staysPut(ctx context.Context, t *testing.T, l *Live, clock *fakeClock) {
	t.Helper()
	const places = `[...document.querySelectorAll('.big, figure, figcaption b, th, tbody tr, .panels .card')].map(n => {
		const b = n.getBoundingClientRect();
		return [b.x, b.y].map(Math.round).join();
	}).join(' ')`
	const leads = `document.querySelector('#leads-sub').textContent`
	before, figure := evaluate[string](ctx, t, places), evaluate[string](ctx, t, leads)
	feed(l, clock, 5*time.Second)
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](leads+` !== '`+figure+`'`)); err != nil {
		t.Fatalf("the figures stand still: %v", err)
	}
	if after := evaluate[string](ctx, t, places); after != before {
		t.Errorf("the page moved:\n%s\n%s", before, after)
	}
}

// sorts clicks a column head twice and reads which contract leads.
func sorts(ctx context.Context, t *testing.T) {
	t.Helper()
	const first = `#contracts tbody tr:first-child td span`
	expectText(ctx, t, first, "<b>bold</b>") // by name; and names are text, not markup
	revenue := chromedp.CSS(`#contracts th:nth-child(13) button`)
	for _, want := range []string{"acme-west", "<b>bold</b>"} {
		if err := chromedp.Do(ctx, chromedp.Click(revenue)); err != nil {
			t.Fatal(err)
		}
		expectText(ctx, t, first, want)
	}
}

// hovers moves the pointer over the first plot: the read-outs of all then tell a time instead of now.
func hovers(ctx context.Context, t *testing.T) {
	t.Helper()
	const readOut = `figure:last-of-type .when`
	expectText(ctx, t, readOut, "now")
	const center = `(svg => {
		svg.scrollIntoView();
		const b = svg.getBoundingClientRect();
		return [b.x + b.width / 2, b.y + b.height / 2];
	})(document.querySelector('figure svg'))`
	at := evaluate[[]float64](ctx, t, center)
	if err := chromedp.Do(ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1])); err != nil {
		t.Fatal(err)
	}
	text := evaluate[string](ctx, t, `document.querySelector('`+readOut+`').textContent`)
	if _, err := time.Parse(time.TimeOnly, text); err != nil {
		t.Errorf("read-out under the pointer: %q, expected a time of day", text)
	}
}

func evaluate[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func expectText(ctx context.Context, t *testing.T, selector, want string) {
	t.Helper()
	if got := evaluate[string](ctx, t, `document.querySelector('`+selector+`').textContent`); got != want {
		t.Errorf("%s shows %q, expected %q", selector, got, want)
	}
}

func takePictures(ctx context.Context, t *testing.T) {
	t.Helper()
	file := os.Getenv(screenshotEnv)
	if file == "" {
		return
	}
	base := strings.TrimSuffix(file, ".png")
	shoot := func(name, scheme string, width int64) {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
			t.Fatal(err)
		}
		// The plots follow the new width in a frame of their own.
		const frames = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](frames, chromedp.EvalAwaitPromise)); err != nil {
			t.Fatal(err)
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(name, png, 0o644)
		}
		if err != nil {
			t.Fatalf("cannot take a picture of the page: %v", err)
		}
	}
	shoot(base+"-dark.png", "dark", 1280)
	shoot(base+"-narrow.png", "light", 800)
	shoot(base+".png", "light", 1280)
}

// sighting is what the browser told of itself.
type sighting struct {
	mu       sync.Mutex
	console  []string
	requests []string
}

func (s *sighting) note(ev any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		for _, arg := range ev.Args {
			s.console = append(s.console, "console: "+arg.Description+string(arg.Value))
		}
	case *runtime.EventExceptionThrown:
		s.console = append(s.console, "exception: "+ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		s.console = append(s.console, "log: "+ev.Entry.Text)
	case *network.EventRequestWillBeSent:
		s.requests = append(s.requests, ev.Request.URL)
	}
}

func (s *sighting) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.console, "\n")
}

// faults lists what was written to the console, and every request to anyone but address.
func (s *sighting) faults(address string) string {
	faults := s.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		return "no request at all: the watch over them is broken"
	}
	for _, url := range s.requests {
		if !strings.HasPrefix(url, "http://"+address+"/") && !strings.HasPrefix(url, "data:") {
			faults += "\nrequest to " + url
		}
	}
	return faults
}

func openBrowser(t *testing.T) (context.Context, *sighting) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("this test opens the page in Chromium, and none is installed: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	ctx, cancelDeadline := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancelDeadline)
	ctx, cancelBrowser := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancelBrowser)
	ctx, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(cancelTab)
	seen := &sighting{}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("cannot start %s: %v", path, err)
	}
	if err := chromedp.Listen(ctx, seen.note); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return ctx, seen
}

// serve answers for l on a free port, and for nothing else, until stop or the end of the test.
func serve(t *testing.T, l *Live) (address string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{SecureErrorLogMessage: true, CloseOnShutdown: true, Handler: func(ctx *fasthttp.RequestCtx) {
		switch {
		case l.Handle(ctx):
		case string(ctx.Path()) == "/api/explain/"+explainedPing && string(ctx.QueryArgs().Peek("contract")) == "asleep":
			ctx.SetBodyString(explainedBody)
		default:
			ctx.SetStatusCode(fasthttp.StatusNotFound)
		}
	}}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	stop = sync.OnceFunc(func() {
		if err := errors.Join(server.Shutdown(), <-done); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// feed runs a believable day's traffic through l.
func feed(l *Live, clock *fakeClock, d time.Duration) {
	m := market{l: l, rnd: rand.New(rand.NewPCG(1, 2))}
	for s := range int(d / time.Second) {
		wave := 34 + 14*math.Sin(float64(s)/55) + 5*m.rnd.Float64()
		if s > 400 && s < 430 {
			wave *= 0.25
		}
		for range int(wave) {
			m.lead()
		}
		clock.step(time.Second)
	}
}

func fullSources(clock *fakeClock) Sources {
	day := time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC)
	return Sources{
		Now: clock.now,
		Caps: func() []Cap {
			return []Cap{
				{ID: "contract/acme-west/day/leads", Per: "day", Unit: "leads", Limit: 20_000, Held: 42, Committed: 11_870, Start: day},
				{ID: "contract/acme-west/month/spend", Per: "month", Unit: "spend", Limit: 20_000e6, Held: 0, Committed: 4_210_500_000, Start: day},
				{ID: "buyer/zenith/hour/leads", Per: "hour", Unit: "leads", Limit: 3000, Held: 180, Committed: 2640, Start: day},
				{ID: "campaign/north-auto/day/leads", Per: "day", Unit: "leads", Limit: 50_000, Committed: 16_201, Start: day},
				{ID: "seller/north/total/spend", Per: "total", Unit: "spend", Limit: 900_000e6},
			}
		},
		InDoubt:  func() (int, exchange.Money) { return 3, dollars(52.25) },
		Doubtful: func() (time.Duration, int) { return 2*time.Hour + 3*time.Minute, 2 },
		Postbacks: func() Postbacks {
			return Postbacks{Waiting: 12, Delivered: 15_880, Dead: 1, NotSent: 4, Disabled: 2, Credits: 15_893, Commission: dollars(62_114.4)}
		},
		Journal: func() Journal { return Journal{Seq: 48_211, Durable: 48_211} },
		Ready:   func() string { return "" },
		Config: func() Config {
			return Config{
				Hash: "9f3c1a77be0d4c52", Currency: "USD",
				Contracts: []ContractInfo{
					{ID: "acme-west", Buyer: "acme"}, {ID: "zenith-us", Buyer: "zenith"}, {ID: "zenith-fixed", Buyer: "zenith"},
					{ID: "orbit-night", Buyer: "orbit"}, {ID: "<b>bold</b>", Buyer: "quote\"s"},
				},
			}
		},
	}
}

// grouped writes n as the page does: 12,345.
func grouped(n int64) string {
	s := exchange.Money(n * int64(exchange.Micro)).String()
	s = strings.TrimSuffix(s, ".00")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func rowNamed(t *testing.T, rows []ContractRow, id exchange.ContractID) ContractRow {
	t.Helper()
	for _, r := range rows {
		if r.Contract == id {
			return r
		}
	}
	t.Fatalf("no row for %s", id)
	return ContractRow{}
}
