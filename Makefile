# The seven words of this repository. `make check` is exactly what CI runs.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: build test lint generate check bench walk

build: ## Build static binaries of every command that people run into bin/.
	mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/reconcile ./cmd/terra-emulator

test: ## Run every test.
	go test ./...

lint: ## Run the linters of .golangci.yml (installs the pinned version once).
	.ci/golangci-lint run ./...

generate: ## Rewrite goldens and the pages generated from code.
	.ci/generate

check: ## Everything CI checks, with seconds per stage.
	.ci/run

bench: ## Measure speed and memory against what is possible (four minutes).
	go test -run '^$$' -bench ColdDryRun -benchtime 15x ./internal/cli
	go test -run '^$$' -bench Passes -benchtime 2x ./internal/cli
	go test -run '^$$' -bench IdleDaemon -benchtime 1x ./internal/cli
	go test -run '^$$' -bench Scrape -benchtime 300x ./internal/metrics
	go test -run '^$$' -bench BesideTerraform -benchtime 5x ./internal/cli
	go test -run '^$$' -bench Page -benchtime 50x ./internal/web

walk: ## Kill and disturb the program at every point, of which CI tries a sample.
	WALK=all go test -count=1 -v -timeout 2h -run Walk ./internal/cli ./reconcile
