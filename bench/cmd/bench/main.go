//go:build linux

// Command bench measures the exchange beside bare fan-outs, in one run on one
// machine, and writes what came of it to a dated page.
//
// It owns the order of the measurements, the processes they need and the page.
// It measures the binary that `make build` makes, from outside, over loopback
// only; it never measures itself, and never decides what the exchange does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"vendue/bench/load/buyers"
	"vendue/bench/peers"
)

func main() {
	// Children die with the thread that started them (see child.go), so the main thread starts them all.
	runtime.LockOSThread()
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		}
		os.Exit(1)
	}
}

// run is one process of a bench: the bench itself, or a part that it started.
func run(args []string) error {
	role := ""
	if len(args) > 0 {
		role = args[0]
	}
	switch role {
	case "buyers":
		return serveBuyers(args[1:])
	case "peer":
		return servePeer(args[1:])
	default:
		return bench(args)
	}
}

func bench(args []string) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := f.Bool("quick", false, "about a minute: one round, fewer cases")
	out := f.String("out", "bench/results", "folder of the page; empty prints it only")
	work := f.String("work", "bin", "folder for the journals: on the disk that is to be measured")
	rounds := f.Int("rounds", 0, "rounds that the medians are of; 0 is 3, or 1 with -quick")
	only := f.String("only", "", "comma-separated parts: "+strings.Join(partNames(), ", "))
	f.Usage = func() {
		_, _ = fmt.Fprintf(f.Output(), "Usage: bench [-quick] [-only PARTS] [-rounds N] [-out DIR] [-work DIR]\n\nExample: go run ./bench/cmd/bench -only main -rounds 5 -out ''\n\n")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	s := full
	if *quick {
		s = short
	}
	if *rounds > 0 {
		s.rounds = *rounds
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := strings.TrimSpace("bench " + strings.Join(args, " "))
	p, err := newPage(command, *work)
	if err != nil {
		return err
	}
	if err := measureAll(ctx, p, plan{scale: s, work: *work, only: *only}); err != nil {
		return err
	}
	text := p.markdown()
	fmt.Print(text)
	if *out == "" {
		return nil
	}
	return p.save(*out, *quick)
}

func serveBuyers(args []string) error {
	f := flag.NewFlagSet("buyers", flag.ContinueOnError)
	n := f.Int("n", 10, "buyers")
	delay := f.Duration("delay", 0, "before a bid")
	hang := f.Int("hang", 0, "how many never bid")
	cert := f.String("tls", "", "serve TLS, and write the certificate to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	ready := func(ports []int) {
		line := "ready"
		for _, p := range ports {
			line += fmt.Sprintf(" 127.0.0.1:%d", p)
		}
		fmt.Println(line)
	}
	if *cert != "" {
		return buyers.ServeTLS(*n, *cert, ready)
	}
	return buyers.Serve(buyers.Config{N: *n, Delay: *delay, Hang: *hang}, ready)
}

func servePeer(args []string) error {
	f := flag.NewFlagSet("peer", flag.ContinueOnError)
	kind := f.String("kind", peers.Raw, "which fan-out")
	log := f.String("log", "", "where the logged one keeps its events")
	if err := f.Parse(args); err != nil {
		return err
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen on loopback: %w", err)
	}
	fmt.Println("ready", ln.Addr())
	return peers.Serve(*kind, ln, f.Args(), *log)
}

// scale says how much is measured.
type scale struct {
	rounds    int
	warm      time.Duration
	closed    time.Duration // one closed-loop measurement
	open      time.Duration // one open-loop measurement
	counts    []int         // of buyers, beside ten
	conns     []int         // of sellers' connections
	delays    []time.Duration
	contracts []int // in the tree
	sales     time.Duration
	probe     time.Duration // of the journal
	slices    int           // of the run that memory is watched in
	slice     int           // units in each
}

var (
	full = scale{
		rounds: 3, warm: 400 * time.Millisecond, closed: 1500 * time.Millisecond, open: 2200 * time.Millisecond, counts: []int{1, 5, 20, 50}, conns: []int{8, 256, 1024},
		delays: []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond}, contracts: []int{100, 10_000}, sales: 4 * time.Second, probe: time.Second,
		slices: 10, slice: 100_000,
	}
	short = scale{
		rounds: 1, warm: 300 * time.Millisecond, closed: time.Second, open: 1500 * time.Millisecond, counts: []int{50}, conns: []int{8, 256},
		delays: []time.Duration{10 * time.Millisecond}, contracts: []int{100, 10_000}, sales: 2 * time.Second, probe: time.Second,
		slices: 10, slice: 10_000,
	}
)
