# ebb builds with Go, git, make, a C compiler (for the race detector) and nothing else.

GO       ?= go
VERSION  := 0.1.0
TOOLS    := $(GO) tool -modfile=tools/go.mod
PACKAGES := ./...
KILLS    ?= 200

.PHONY: help build demo test lint fmt docs bench soak clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 22

build: ## bin/ebb
	@mkdir -p bin
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ebb ./cmd/ebb

demo: build sandbox ## a run is killed in mid-chaos, and what it left is undone
	@sh testdata/demo/demo.sh

test: sandbox ## everything, against a real control plane, with the race detector
	$(GO) test -race -timeout 20m $(PACKAGES)
	@sh sandbox/build.sh test

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted" >&2; exit 1; fi
	$(GO) vet $(PACKAGES)
	$(TOOLS) staticcheck $(PACKAGES)

fmt: ## formats all Go files
	gofmt -w $$(git ls-files '*.go')

docs: ## docs/scenarios.md from the scripts' declarations
	$(GO) test ./scripts -run TestScenariosDoc -update

bench: sandbox ## what a version file costs, beside the bare cost
	$(GO) test -run '^$$' -bench . -benchtime 2s $(PACKAGES)

soak: sandbox ## kills at KILLS=200 random instants, and every scenario at every point
	EBB_SOAK_KILLS=$(KILLS) EBB_MATRIX=all $(GO) test -race -timeout 120m -run 'TestKillAtRandom|TestKillMatrix' -v ./cmd/ebb

clean: ## removes bin
	rm -rf bin

include sandbox.mk
