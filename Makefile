# ebb builds with Go, git, make, a C compiler (for the race detector) and nothing else.

GO       ?= go
VERSION  := 0.1.0
TOOLS    := $(GO) tool -modfile=tools/go.mod
PACKAGES := ./...
MODULE   := github.com/ebb-chaos/ebb
BINARY   := bin/ebb
IMAGE    := bin/image
# No libc, no loader: the binary runs in any container.
STATIC   := CGO_ENABLED=0
# All that is not for the race detector is built as the binary is: no package is compiled twice.
PLAIN    := $(STATIC) GOFLAGS=-trimpath
# The command line's own documentation generator, which ebb does not use, takes half a millisecond of each start.
TAGS     := urfave_cli_no_docs
# What of this machine decides which tests are skipped: who runs them, and which commands there are. The
# tests read it, so that go test runs them again where it is another.
export EBB_TEST_MACHINE := $(shell uname -sr; id -u; for c in ip tc iptables pgrep nsenter setsid unshare bash zsh fish runc node npm; do command -v $$c; done)
# A process under the race detector otherwise sleeps for a second at its end, and tests start many.
RACE     := GORACE=atexit_sleep_ms=10
OTHERS    = $(shell $(GO) list ./... | grep -v '^$(MODULE)/cmd/ebb$$')

# How much of it, for soak and fuzz.
KILLS    ?= 200
FAULTS   ?= 200
CRASHES  ?= 20
FUZZTIME ?= 60s
# More flags of bench, such as BENCH='-rows undo'.
BENCH    ?=
FIGURES  := TestCrash|TestPausedRunner|TestMutants|TestWrongAnswersEverywhere|TestRace|TestHostileInputs|TestKill|TestSignalMatrix|TestFaultsAtRandom
# The race detector gets nothing of these: each reads sources as long as a file may be, in one goroutine.
SOURCES  := TestLoadRefusesLongChains|TestLoadSurvivesNesting|TestCheckFindsNoMoreThanAPersonReads|TestBounded

.PHONY: help build image demo test test-packages test-ebb test-race test-race-ebb test-race-all lint fmt docs bench bench-parts soak figures fuzz clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 22

build: ## bin/ebb, which needs nothing else where it runs
	@mkdir -p bin
	$(STATIC) $(GO) build -trimpath -buildvcs=false -tags $(TAGS) -ldflags "-s -w -X main.version=$(VERSION)" -o $(BINARY) ./cmd/ebb

image: build ## bin/image, an OCI layout with the binary and nothing else
	@rm -rf $(IMAGE)
	cd tools && $(GO) run ./image -binary $(abspath $(BINARY)) -out $(abspath $(IMAGE)) -version $(VERSION)

demo: build sandbox ## a run is killed in mid-chaos, and what it left is undone
	@sh testdata/demo/demo.sh

# One after the other: on two cores, side by side they take as long, and each waits longer for the other.
test: sandbox ## everything, against a real control plane
	@$(MAKE) --no-print-directory test-ebb test-packages sandbox-test

test-ebb:
	$(PLAIN) $(GO) test -timeout 40m ./cmd/ebb

test-packages:
	$(PLAIN) $(GO) test -timeout 40m $(OTHERS)

test-race: sandbox ## all packages but cmd/ebb under the race detector
	$(RACE) $(GO) test -race -timeout 40m -skip '$(SOURCES)' $(OTHERS)

test-race-ebb: sandbox ## the commands under the race detector: the tests in Go, and scripts that have every command
	$(RACE) $(GO) test -race -timeout 40m ./cmd/ebb

test-race-all: sandbox ## the commands under the race detector, with all scripts, scenarios and inputs
	EBB_RACE=all $(RACE) $(GO) test -race -timeout 60m ./cmd/ebb

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted" >&2; exit 1; fi
	$(PLAIN) $(GO) vet $(PACKAGES)
	$(PLAIN) $(GO) vet -tags ebbtest ./cmd/ebb
	$(PLAIN) $(TOOLS) staticcheck $(PACKAGES)

fmt: ## formats all Go files
	gofmt -w $$(git ls-files '*.go')

docs: ## docs/scenarios.md from the scripts' declarations
	$(GO) test ./scripts -run 'TestScenariosDoc|TestDeployRights' -update

bench: build sandbox ## ebb as its users wait for it, beside bare programs; bin/bench.json (docs/performance.md)
	@$(PLAIN) $(GO) build -o bin/.bench ./internal/bench
	bin/.bench run -ebb $(BINARY) -out bin/bench.json $(BENCH)

bench-parts: sandbox ## single parts in one process: a flush, a load, a rehearsal
	$(GO) test -run '^$$' -bench . -benchtime 1s $(PACKAGES)

soak: sandbox ## KILLS=200 kills, FAULTS=200 unlucky runs, CRASHES=20 times the power losses, each scenario and signal at each point
	EBB_SOAK_KILLS=$(KILLS) EBB_SOAK_FAULTS=$(FAULTS) EBB_SOAK_CRASHES=$(CRASHES) EBB_MATRIX=all \
		$(GO) test -timeout 180m -v -count 1 -run '$(FIGURES)' ./versions ./runner ./cmd/ebb

figures: sandbox ## the same at the size of make test, as docs/reliability.md quotes it
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; status=0; \
	$(GO) test -v -count 1 -run '$(FIGURES)' ./versions ./runner ./cmd/ebb >"$$log" 2>&1 || status=$$?; \
	sed -n 's/^ *\([a-z_]*\)_test.go:[0-9]*: figures: /\1: /p; /^ *--- FAIL/p; /^FAIL/p; /^ok/p' "$$log"; exit $$status

fuzz: ## every fuzz target for FUZZTIME=60s
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	for file in $$(git ls-files '*_test.go' ':!sandbox' | xargs grep -l '^func Fuzz'); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' "$$file"); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$${file%/*}" >"$$log" 2>&1 || { cat "$$log"; exit 1; }; \
			echo "$${file%/*} $$target: $$(grep '^fuzz: elapsed' "$$log" | tail -n 1)"; \
		done; \
	done

clean: ## removes bin
	rm -rf bin

include sandbox.mk
