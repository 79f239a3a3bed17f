# Everything a person does here. `make help` lists it.

.DEFAULT_GOAL := help
SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
MAKEFLAGS     += --no-builtin-rules --no-print-directory

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
PACKAGES ?= ./...
TIMEOUT  ?= 30m
FUZZTIME ?= 20s
ARGS     ?=

# The database that storage is tested on besides SQLite. Without this variable
# a server on this machine that lets postgres in without a password is used.
LOCAL_POSTGRES := postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable

.PHONY: help
help: ## list what can be made
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run the gateway on a simulated carrier network (ARGS='--speed 17280')
	$(GO) run . demo $(ARGS)

.PHONY: build
build: ## build bin/milepost, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/milepost .

.PHONY: test
test: format vet generated house race ## everything a change must pass, but for lint

.PHONY: format
format: ## fail on a file that gofmt would change
	@files=$$(git ls-files -z --cached --others --exclude-standard -- '*.go' ':!**/testdata/**' | xargs -0r gofmt -l); \
	if [ -n "$$files" ]; then printf 'gofmt would change\n%s\n' "$$files" >&2; exit 1; fi
	@echo "ok  format"

.PHONY: vet
vet: ## go vet
	$(GO) vet $(PACKAGES)
	@echo "ok  vet"

.PHONY: generate
generate: ## write again what gqlgen and its like have written
	$(GO) generate ./...

# Compares with what was here and not with the last commit, so that it holds
# in the middle of a change too.
.PHONY: generated
generated: ## fail where generated code is older than what it is generated from
	@state() { git status --porcelain; git diff HEAD | git hash-object --stdin; }; \
	before=$$(state); $(GO) generate ./...; after=$$(state); \
	if [ "$$before" != "$$after" ]; then \
		echo "go generate changed files; commit them with what they come from:" >&2; \
		diff <(echo "$$before") <(echo "$$after") >&2 || true; exit 1; fi
	@echo "ok  generated"

.PHONY: house
house: ## fail on an import that the house table lacks
	$(GO) test -run 'TestHouse' .

.PHONY: race
race: ## all tests under the race detector
	@postgres=$${MILEPOST_TEST_POSTGRES-}; skipped=; \
	if [ -z "$$postgres" ]; then \
		if (exec 3<>/dev/tcp/127.0.0.1/5432) 2>/dev/null; then postgres='$(LOCAL_POSTGRES)'; \
		else skipped='PostgreSQL: no MILEPOST_TEST_POSTGRES, and nothing listens on 127.0.0.1:5432; storage was tested on SQLite only'; fi; \
	fi; \
	if [ -n "$$postgres" ]; then export MILEPOST_TEST_POSTGRES=$$postgres; fi; \
	$(GO) test -race -timeout $(TIMEOUT) $(PACKAGES); \
	if [ -n "$$skipped" ]; then echo "skipped  $$skipped"; fi

.PHONY: lint
lint: vet ## go vet and staticcheck
	$(TOOL) staticcheck $(PACKAGES)

.PHONY: vulns
vulns: ## look for known vulnerabilities that the code reaches (asks vuln.go.dev)
	$(TOOL) govulncheck $(PACKAGES)

.PHONY: bench
bench: ## all benchmarks, once (ARGS='-count 10' for benchstat)
	$(GO) test -run '^$$' -bench . -benchmem -timeout $(TIMEOUT) $(ARGS) $(PACKAGES)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each (20s)
	@git ls-files --cached --others --exclude-standard -- '*_test.go' | xargs grep -Ho '^func Fuzz[A-Za-z0-9_]*' | sort | \
	while IFS=: read -r file func; do \
		name=$${func#func }; echo "== $$name in $$(dirname "$$file")"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" </dev/null; \
	done
