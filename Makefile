# make help says what there is. Two commands matter on a fresh machine: make demo, make test.
SHELL       := /bin/bash
GO          ?= go
BIN         := bin
LINT_VERSION:= v2.15.0
LINT        := $(BIN)/golangci-lint
SEEDS       ?= 1000
CYCLES      ?= 20
FUZZTIME    ?= 20s
COUNT       ?= 10
BENCHSTAT   := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

.DEFAULT_GOAL := help
.PHONY: help build demo test check fmt vet lint imports tidy race fuzz fuzz-short sim crash mutants bench bench-quick microbench lab chromium clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/vendue
	$(GO) build -o $(BIN)/vendue ./cmd/vendue

demo: build ## run a whole exchange with simulated buyers, affiliates and traffic
	$(BIN)/vendue demo $(DEMO)

test: chromium ## install what the tests need and run them
	$(GO) test -shuffle=on $$($(GO) list ./... | grep -v /bench/e2e)
	$(GO) test -shuffle=on ./bench/e2e # alone: it measures deadlines, and wants the machine to itself

check: fmt vet tidy lint test fuzz-short ## everything a change must pass, in the order of what fails fastest

fmt:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

tidy:
	$(GO) mod tidy -diff

lint: $(LINT) ## run the linters, at the version this file names
	$(LINT) run ./...

$(LINT): Makefile
	GOBIN=$(CURDIR)/$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@touch $@

# The live page's test drives a real browser.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	{ echo "installing Chromium for the live page's test"; \
	  if [ "$$(id -u)" = 0 ]; then S=; else S=sudo; fi; \
	  $$S apt-get update -qq && $$S apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

race: ## the whole suite under the race detector
	$(GO) test -race -shuffle=on ./...

# Every fuzz target of every package, FUZZTIME each.
fuzz: ## fuzz every target for FUZZTIME
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; done; done

# By executions, not by time: the toolchain now and then takes its own deadline for a failure.
fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=5000x

sim: ## simulate SEEDS whole worlds in virtual time
	$(GO) test ./bench/sim -count=1 -timeout=0 -seeds=$(SEEDS) -v

crash: ## kill -9 the real binary CYCLES times under load and reconcile everyone's books
	$(GO) test ./bench/crash -count=1 -timeout=0 -cycles=$(CYCLES) -v

mutants: ## break the product on purpose, one way at a time; every break must be noticed
	$(GO) test ./bench/mutants -count=1 -timeout=0 -mutants.all -v

bench: ## measure the exchange beside bare fan-outs, under ten minutes; writes bench/results/DATE-bench.md
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/bench ./bench/cmd/bench
	$(BIN)/bench $(BENCH)

bench-quick: ## the same with one round and fewer cases, about a minute; writes bin/DATE-bench-quick.md
	@$(MAKE) --no-print-directory bench BENCH="-quick -out $(BIN) $(BENCH)"

# Compare two trees: make microbench; change something; make microbench OLD=bin/micro.old
microbench: ## benchmarks of every room, COUNT times, into bin/micro.txt; OLD=FILE compares with benchstat
	@mkdir -p $(BIN); if [ -f $(BIN)/micro.txt ]; then cp $(BIN)/micro.txt $(BIN)/micro.old; fi
	@set -o pipefail; $(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./... | grep -v -e 'no test files' -e '^PASS' -e '^ok' | tee $(BIN)/micro.txt
	@if [ -n "$(OLD)" ]; then $(GO) run $(BENCHSTAT) $(OLD) $(BIN)/micro.txt; fi

lab: ## play the ranking policies on made-up markets and print the table, about a minute
	$(GO) test ./bench/lab -count=1 -lab.all -v

clean:
	rm -rf $(BIN)
