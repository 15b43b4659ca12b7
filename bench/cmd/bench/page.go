//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vendue/bench/peers"
)

// page gathers what the parts found and writes it as Markdown and a plot.
type page struct {
	began    time.Time
	command  string
	machine  []string // lines about commit and machine
	goals    []goal
	sections []section
	mainRows []row
	byN      map[int][]row
	took     time.Duration
}

// goal is one line of what must be reached.
type goal struct {
	what, want, got string
	reached         bool
}

// section is one table and what may be read from it.
type section struct {
	title string
	notes []string
	head  []string
	lines [][]string
}

func newPage(command, work string) (*page, error) {
	p := &page{began: time.Now(), command: command}
	var fs unix.Statfs_t
	if err := unix.Statfs(work, &fs); err != nil {
		return nil, fmt.Errorf("cannot look at the disk of %q: %w", work, err)
	}
	kernel := "unknown"
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(b))
	}
	p.machine = []string{
		"commit " + commit(),
		fmt.Sprintf("%d cores (%s), Linux %s, %s", runtime.NumCPU(), cpuModel(), kernel, runtime.Version()),
		"journals on " + diskName(fs.Type),
	}
	return p, nil
}

func commit() string {
	rev, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	text := strings.TrimSpace(string(rev))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(changed) > 0 {
		text += " with changes"
	}
	return text
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func diskName(magic int64) string {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs: NOT A DISK, syncs cost nothing here"
	default:
		return fmt.Sprintf("a file system of type %#x", magic)
	}
}

func (p *page) done() { p.took = time.Since(p.began) }

func (p *page) goal(what, want, got string, reached bool) {
	p.goals = append(p.goals, goal{what, want, got, reached})
}

// find returns the row of a name, a row of zeros if it was not measured.
func find(rows []row, name string) *row {
	for i := range rows {
		if rows[i].name == name {
			return &rows[i]
		}
	}
	return &row{name: name}
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func f0(v float64) string { return fmt.Sprintf("%.0f", v) }
func f1(v float64) string { return fmt.Sprintf("%.1f", v) }
func f2(v float64) string { return fmt.Sprintf("%.2f", v) }

// tellFaults shows the body of the first bad answer of each row that had one.
func (s *section) tellFaults(rows []row) {
	for i := range rows {
		if r := &rows[i]; r.fault != "" {
			_, body, _ := strings.Cut(r.fault, "\r\n\r\n")
			s.notes = append(s.notes, fmt.Sprintf("The first bad answer of %s: `%.200s`", r.name, body))
		}
	}
}

// faults tells what went wrong in a row, as a cell.
func faults(r *row) string {
	m := &r.median
	if m.bad+m.broken+m.late == 0 {
		return "none"
	}
	return fmt.Sprintf("bad %.0f, broken %.0f, late %.0f", m.bad, m.broken, m.late)
}

// main shows the comparison with ten buyers and judges its ratios.
func (p *page) main(rows []row) {
	p.mainRows = rows
	raw, logged, fast := find(rows, peers.Raw).median.cpu, find(rows, peers.RawLog).median.cpu, find(rows, peers.FastHTTP).median.cpu
	s := section{
		title: "Ten buyers that answer at once",
		notes: []string{
			fmt.Sprintf("Closed loop, %d units in flight. CPU is of the measured process alone, in microseconds per unit, with the least and the most of a round.", closedConns),
			"A unit of the exchange is what its name says; a unit of a peer is ten pings and one post. Pings and directs are asked of one exchange, the other two of another. `strict` is a direct with an Idempotency-Key, a duplicate rule and an affiliate's source.",
		},
		head: []string{"", "CPU us", "rounds", "/ raw", "/ raw+log", "/ fasthttp", "units/s", "p50 us", "p99 us", "p99.9 us", "allocs", "KB", "RSS MB", "faults"},
	}
	for i := range rows {
		r, m := &rows[i], &rows[i].median
		allocs, kb := "", ""
		if strings.HasPrefix(r.name, "vendue") {
			allocs, kb = f0(m.mallocs), f1(m.bytes/1024)
		}
		s.lines = append(s.lines, []string{r.name, f1(m.cpu), f1(r.low) + "-" + f1(r.high), f2(ratio(m.cpu, raw)), f2(ratio(m.cpu, logged)), f2(ratio(m.cpu, fast)),
			f0(m.rate), f0(m.p50), f0(m.p99), f0(m.p999), allocs, kb, f0(r.rss), faults(r)})
	}
	s.tellFaults(rows)
	p.sections = append(p.sections, s)
	direct, ping := find(rows, nameDirect).median.cpu, find(rows, namePing).median.cpu
	for _, g := range []struct {
		what    string
		a, b, c float64
	}{{"direct / raw+log, CPU", direct, logged, 1.5}, {"direct / fasthttp, CPU", direct, fast, 1.2}, {"ping / raw, CPU", ping, raw, 1.3}} {
		v := ratio(g.a, g.b)
		p.goal(g.what, fmt.Sprintf("at most %.1f", g.c), f2(v), v > 0 && v <= g.c)
	}
}

// byBuyers shows how cost grows with the number of buyers.
func (p *page) byBuyers(byN map[int][]row) {
	p.byN = byN
	ns := make([]int, 0, len(byN))
	for n := range byN {
		ns = append(ns, n)
	}
	slices.Sort(ns)
	s := section{
		title: "From one buyer to fifty",
		notes: []string{"Closed loop as above: CPU us per unit, and in brackets the ratio to `raw` with as many buyers."},
		head:  []string{"buyers"},
	}
	names := []string{namePing, namePair, nameDirect, peers.Raw, peers.RawLog, peers.FastHTTP, peers.NetHTTP}
	s.head = append(append(s.head, names...), "faults")
	for _, n := range ns {
		raw := find(byN[n], peers.Raw).median.cpu
		s.tellFaults(byN[n])
		line := []string{fmt.Sprint(n)}
		bad := 0.0
		for _, name := range names {
			m := find(byN[n], name).median
			bad += m.bad + m.broken
			line = append(line, fmt.Sprintf("%.1f (%.2f)", m.cpu, ratio(m.cpu, raw)))
		}
		s.lines = append(s.lines, append(line, f0(bad)))
	}
	p.sections = append(p.sections, s)
}

// byConns shows how cost grows with the units in flight, each on a connection of its own.
func (p *page) byConns(conns []int, all [][]row) {
	s := section{
		title: "From a few connections to many",
		notes: []string{"Closed loop with ten buyers, one unit in flight on each connection of a seller. What is shed is a fault here. The table of ten buyers has 64."},
		head:  []string{"connections", "", "CPU us", "/ raw", "units/s", "p50 us", "p99 us", "faults"},
	}
	for i, rows := range all {
		raw := find(rows, peers.Raw).median.cpu
		s.tellFaults(rows)
		for j := range rows {
			r, m := &rows[j], &rows[j].median
			s.lines = append(s.lines, []string{fmt.Sprint(conns[i]), r.name, f1(m.cpu), f2(ratio(m.cpu, raw)), f0(m.rate), f0(m.p50), f0(m.p99), faults(r)})
		}
	}
	p.sections = append(p.sections, s)
}

// delayRows is one delay's rows, and what the exchange says of its own syncs and lock.
type delayRows struct {
	delay    time.Duration
	rows     []row
	syncP50  float64 // us
	lockHeld float64 // us, p99
}

// delays shows latency above the buyers' own, and judges it at 10 ms.
func (p *page) delays(all []delayRows) {
	s := section{
		title: fmt.Sprintf("Latency at %d units a second", delayRate),
		notes: []string{
			"Open loop: a latency counts from the instant at which the request was due. `above` is the latency less the buyers' delay before a bid; posts are answered at once.",
		},
		head: []string{"buyers' delay", "", "p50 ms", "p99 ms", "p99.9 ms", "p50 above", "p99 above", "CPU us", "faults"},
	}
	for _, d := range all {
		own := float64(d.delay.Microseconds())
		for i := range d.rows {
			r, m := &d.rows[i], &d.rows[i].median
			s.lines = append(s.lines, []string{d.delay.String(), r.name, f2(m.p50 / 1000), f2(m.p99 / 1000), f2(m.p999 / 1000),
				f2((m.p50 - own) / 1000), f2((m.p99 - own) / 1000), f1(m.cpu), faults(r)})
		}
		s.tellFaults(d.rows)
		s.notes = append(s.notes, fmt.Sprintf("At %s the exchange's own figures: a sync takes %.0f us (p50, append to disk), its lock is held for %.0f us (p99).", d.delay, d.syncP50, d.lockHeld))
		if d.delay != 10*time.Millisecond {
			continue
		}
		ping, direct := &find(d.rows, namePing).median, &find(d.rows, nameDirect).median
		raw, logged := &find(d.rows, peers.Raw).median, &find(d.rows, peers.RawLog).median
		p.goal("ping above the slowest of ten 10 ms buyers, p50", "at most 0.5 ms", f2((ping.p50-own)/1000)+" ms", ping.p50 > 0 && ping.p50-own <= 500)
		p.goal("the same, p99", "at most 2 ms", f2((ping.p99-own)/1000)+" ms", ping.p99 > 0 && ping.p99-own <= 2000)
		sync := max(logged.p50-raw.p50, 0)
		over := direct.p50 - raw.p50 - 2*sync
		p.goal("direct there, p50, above ping and post (`raw`) and two syncs (`raw+log` less `raw`, twice)", "at most 0.5 ms",
			fmt.Sprintf("%.2f ms (a sync: %.2f ms)", over/1000, sync/1000), direct.p50 > 0 && over <= 500)
	}
	p.sections = append(p.sections, s)
}

// hang shows what one buyer that never answers does to those who ask it, and to
// those who do not. late of all pings to it were given up at the deadline.
func (p *page) hang(rows []row, late, all float64) {
	s := section{
		title: "One of ten buyers never answers",
		notes: []string{
			fmt.Sprintf("Open loop, %d pings a second with it and %d without; window and ping timeout %d ms.", hangRate, spareRate, windowMs),
			fmt.Sprintf("Of %.0f pings to it %.0f were waited for until the end; any others the exchange did not send.", all, late),
		},
		head: []string{"campaign", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "faults"},
	}
	for i := range rows {
		m := &rows[i].median
		s.lines = append(s.lines, []string{rows[i].name, f2(m.p50 / 1000), f2(m.p99 / 1000), f2(m.p999 / 1000), f2(m.most / 1000), faults(&rows[i])})
	}
	p.sections = append(p.sections, s)
	alone, beside, with := &rows[0].median, &rows[1].median, &rows[2].median
	p.goal("one hanging buyer among ten, p99.9 above the window", "at most 5 ms", f2(with.p999/1000-windowMs)+" ms", with.p999 > 0 && with.p999 <= (windowMs+5)*1000)
	p.goal("pings that do not ask it, p99 above the same alone", "no effect (1 ms of noise)", f2((beside.p99-alone.p99)/1000)+" ms", beside.p99 > 0 && beside.p99-alone.p99 <= 1000)
}

// contracts shows what contracts that do not match cost.
func (p *page) contracts(rows []row, ready time.Duration) {
	s := section{
		title: "Ten candidates among more contracts",
		notes: []string{"Closed loop; every contract beyond ten has a filter that the lead does not pass.",
			fmt.Sprintf("The exchange with the most contracts was ready %.2f s after its start.", ready.Seconds())},
		head: []string{"", "CPU us", "rounds", "units/s", "p50 us", "p99 us", "allocs", "RSS MB", "faults"},
	}
	for i := range rows {
		r, m := &rows[i], &rows[i].median
		s.lines = append(s.lines, []string{r.name, f1(m.cpu), f1(r.low) + "-" + f1(r.high), f0(m.rate), f0(m.p50), f0(m.p99), f0(m.mallocs), f0(r.rss), faults(r)})
	}
	s.tellFaults(rows)
	p.sections = append(p.sections, s)
	for _, what := range []string{"ping", "direct"} {
		few, many := find(rows, what+", 100 contracts").median.cpu, find(rows, what+", 10000 contracts").median.cpu
		more := 100 * (ratio(many, few) - 1)
		p.goal(what+" with 10,000 contracts instead of 100, CPU", "at most 20% more", fmt.Sprintf("%+.0f%%", more), few > 0 && more <= 20)
	}
}

// tls shows what encryption to the buyers costs.
func (p *page) tls(rows []row) {
	s := section{
		title: "Buyers behind TLS",
		notes: []string{"Closed loop, ten buyers, kept connections. The TLS buyers are a goroutine per connection and so cost the machine more than the plain ones; the CPU here is of the exchange alone."},
		head:  []string{"", "CPU us", "rounds", "units/s", "p50 us", "p99 us", "allocs", "faults"},
	}
	for i := range rows {
		r, m := &rows[i], &rows[i].median
		s.lines = append(s.lines, []string{r.name, f1(m.cpu), f1(r.low) + "-" + f1(r.high), f0(m.rate), f0(m.p50), f0(m.p99), f0(m.mallocs), faults(r)})
	}
	s.tellFaults(rows)
	p.sections = append(p.sections, s)
}

// journal shows appends a second beside a bare file.
func (p *page) journal(file, oneUs float64, flows []flow) {
	s := section{
		title: fmt.Sprintf("The journal, %d appends at once", appenders),
		notes: []string{fmt.Sprintf("Each append waits for the disk. One caller alone, on the bare file, waits %.0f us: that is a sync here.", oneUs),
			fmt.Sprintf("The bare file holds records of %d bytes and nothing else: no checksum, no sequence, no index.", eventBytes)},
		head: []string{"", "events/s", "of the bare file"},
	}
	for _, f := range append(flows, flow{name: "a plain file with group fdatasync", rate: file}) {
		s.lines = append(s.lines, []string{f.name, f0(f.rate), f2(ratio(f.rate, file))})
	}
	p.sections = append(p.sections, s)
	share := ratio(flows[0].rate, file)
	p.goal(fmt.Sprintf("%d journal appends at once, of a plain file with group fdatasync", appenders), "at least 80%", fmt.Sprintf("%.0f%%", 100*share), share >= 0.8)
}

// affiliates shows the flows behind a sale.
func (p *page) affiliates(flows []flow) {
	s := section{
		title: "Clicks, attribution and postbacks",
		notes: []string{"CPU is of the whole exchange per item of the line. Trackers are local and answer at once. The field's best published figure is 1,812 deliveries a second on four vCPUs."},
		head:  []string{"", "per second", "CPU us", ""},
	}
	most := 0.0
	for _, f := range flows {
		cpu := ""
		if f.cpu > 0 {
			cpu = f1(f.cpu)
		}
		s.lines = append(s.lines, []string{f.name, f0(f.rate), cpu, f.remarks})
		if strings.HasPrefix(f.name, "postbacks") && f.items >= deliveriesMin {
			most = max(most, f.rate)
		}
	}
	p.sections = append(p.sections, s)
	p.goal("postback deliveries a second", "at least 10,000", f0(most), most >= 10_000)
}

// deliveriesMin is how many postbacks a rate must rest on.
const deliveriesMin = 2000

// markdown renders the page.
func (p *page) markdown() string {
	var w strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	add("# The exchange beside bare fan-outs, %s\n", p.began.UTC().Format("2006-01-02 15:04 UTC"))
	for _, line := range p.machine {
		add("- %s", line)
	}
	add("- `%s`, %s, everything on loopback and on the same cores\n", p.command, p.took.Round(time.Second))
	add("Figures are the median of the rounds. Compare within this page only. `bench/DESIGN.md` says how it is measured and what may be concluded.\n")
	if len(p.goals) > 0 {
		add("## What must be reached\n\n| | wanted | measured | |\n|---|---|---|---|")
		for _, g := range p.goals {
			verdict := "**not reached**"
			if g.reached {
				verdict = "reached"
			}
			add("| %s | %s | %s | %s |", g.what, g.want, g.got, verdict)
		}
		add("")
	}
	if len(p.mainRows) > 0 {
		add("![CPU per auction](%s)\n", p.plotName())
	}
	for _, s := range p.sections {
		add("## %s\n\n%s\n", s.title, strings.Join(s.notes, "\n\n"))
		add("| %s |\n|%s", strings.Join(s.head, " | "), strings.Repeat("---|", len(s.head)))
		for _, line := range s.lines {
			add("| %s |", strings.Join(line, " | "))
		}
		add("")
	}
	return w.String()
}

func (p *page) stem() string     { return p.began.UTC().Format("2006-01-02") + "-bench" }
func (p *page) plotName() string { return p.stem() + ".svg" }

// save writes the page and its plot. A quick run has a name of its own, so that it never replaces a whole one.
func (p *page) save(dir string, quick bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make %q: %w", dir, err)
	}
	stem, text := p.stem(), p.markdown()
	if quick {
		text = strings.ReplaceAll(text, p.plotName(), stem+"-quick.svg")
		stem += "-quick"
	}
	files := map[string]string{stem + ".md": text}
	if len(p.mainRows) > 0 {
		files[stem+".svg"] = p.plot()
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("cannot write the page: %w", err)
		}
		fmt.Fprintln(os.Stderr, "wrote", filepath.Join(dir, name))
	}
	return nil
}
