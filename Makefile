# `make` alone lists what there is to do.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Tools are pinned in a separate module, so that programs which import ours do not inherit the linters' hundreds of
# requirements. To upgrade one: go get -tool -modfile=tools/go.mod PACKAGE@VERSION (no tidy: it would add the service's
# own requirements).
TOOL := go tool -modfile=tools/go.mod

COUNT    ?= 5
# Packages tested at once, and tests of each: most of them wait for something, so more than there are cores.
PACKAGES ?= 4
PARALLEL ?= 8
# The packages that make test covers. The soak is left to make soak: it needs the machine for itself. What takes long comes first, so
# that something else runs alongside it.
TESTED   ?= ./cmd/api ./sessionstore ./internal/shards ./internal/jobs ./internal/events ./migrations ./internal/testdb ./internal/pgserver \
  $$(go list ./... | grep -v /test/soak)
FUZZTIME ?= 10s
SOAKFOR  ?= 10m
# How long it fails with sessions on several databases, after that.
SOAKSHARDS ?= 12s
RACE     ?= -race
# How far the database's clock is ahead of the machine's.
SOAKCLOCK ?= 90s

# The packages to mutate, and the tests that must detect it: PACKAGE=TESTS. These are the tests that need no database. Code that they do not reach is
# not mutated.
MUTANTS ?= './dpop=.' './tokens=.' './protectedresource=.' './internal/authorization=.' \
  './verifier=^(Test(Verify|Start|Bound|BoundToken|UnavailableIsNothingElse|StrictTimeout|DefaultStrictTimeout|Clock.*|Set.*|Reset|Config.*|Run.*|Feed.*|Table.*|SmallShards|MoreThanIsKept|KeysThat.*|Len|Slack.*|RevocationsAtTheirEnd|Handler|DatabaseClockIsKnown|RevokedIsRemembered.*|TokenFromTheFuture|Claims|ChallengesNameTheMetadata|Require.*|Superseded(AtTheirEnd)?|Remote(Config|Keys|Follows.*|KnowsTheDatabasesTime|HasItsOwnTransport|EndsAfterItsRequests|ClosesItsAnswers)|WhatIsAFeed|Kept.*|SignOutsAreKept|VerdictOfAnEra|EverybodyIsSignedOut|ASignOutThatWasLost|TheFeedTells.*|(Introspection|Keys)Answers|TokensThatFetchNoKeys|KeysAreFetched.*|KeyID|ContextOfARequest|Defaults|CursorIsReadAsWritten|FailuresAreLogged|RevokedFarAhead|(A)?Shard.*|SinceSent|Moment|Now|ToSeconds|NoncesComeWithProofs)|FuzzFeed.*)$$' \
  './internal/refresh=^Test(Decide.*|AbsoluteEnd.*|SessionOutlives.*|AcceptsAccess|OwnValuesCount|HasRefreshToken|MintedAt|ClientAndAudience|OutcomeNames|ModelCheckVectors)$$' './internal/canonical=.' './internal/groupcommit=.' './internal/clientaddr=.' \
  './sessionhttp=^(Test(Transports(Read|AreAmbient)|NoForm|BearerTokenIsNotBound|PartsOfATokenAreKept|Cookies(AreWritten|FromAnotherSite)|CookieNames|ExemptedWebSocket|WhenTokensAreReplaced|StoresAnswers|SignOutsInAnOutage|ResponsesThatAreReplaced|FaultsAreNoVisitors|ProofsOfRequests|ErrorsHaveTheirStatus|FormTokens)|Fuzz.*)$$' \
  './httpapi=^(Test(Body|Bodies(AreReadBefore.*|ThatAreNotRead)|ReadAll|FormFields|NewSession|Parameters|IdempotencyKeyHeader|Accepts|Wanted|Keyed|Introspecting|AccessTokenOfARequest|Lifetimes|SessionPatches|SubjectIdentifiers|CredentialsInAQuery|FindParams|RequiredSubject|Requirements(OfAToken)?|HeaderText|BrowserOrigin|ServiceKeysAre.*|ChosenRequestIDs|MethodOf|RouteOf|SessionIDs|EndpointNames|ProblemDocuments|ProblemOfAnError|Refusals|IfMatch|IfNoneMatch|Client(Credentials|sByName)|BasicNamesAreText|EachTokenOfCompas.*|ProblemsByRoute|ErrorDescriptionsAreSafe|Who(HungUp|Waits.*)|RateLimit(Is.*|Headers)|NetworkOf)|Fuzz.*)$$'

.DEFAULT_GOAL := help
# One recipe at a time: each of these keeps every core busy by itself.
.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: build ## Build and run the service with a private PostgreSQL under ./var, until Ctrl-C
	@bin/api serve

.PHONY: demo
demo: build clients/js/dist/index.js ## Show a page with sessions in it, until Ctrl-C (needs node and npm)
	@node examples/demo/server.mjs

.PHONY: npm
npm: clients/js/dist/index.js clients/server-js/dist/index.js ## Build the packages for browsers and for Node, where they have changed (needs node and npm)

package = clients/$(1)/dist/index.js: clients/$(1)/package.json clients/$(1)/package-lock.json $$(wildcard clients/$(1)/src/*)
$(eval $(call package,js))
$(eval $(call package,server-js))
clients/%/dist/index.js:
	@cd clients/$* && npm ci --silent --no-audit --no-fund && npm run --silent build && touch dist/index.js

# The compiler leaves much memory that need not be collected before it ends: that takes an eighth of its time. Its results are shared with go test,
# so no flag of theirs differs.
.PHONY: build
build: ## Build bin/api
	@[ -e bin/api ] || echo 'Compiling bin/api, and the libraries too if they are new to this machine: that takes a minute.'
	@GOGC=$${GOGC:-400} go build -ldflags '-X main.version=$(VERSION)' -o bin/api ./cmd/api

.PHONY: test
test: ## Run the tests, on a real PostgreSQL
	@# make lint has vet, which go test would run in each package again. What needs npm is left to make clients.
	@# make lint also has the tests of the docs' English and of the direction in which files refer to each other.
	@# Tests leave much memory that need not be collected before they end.
	TEST_WITHOUT_NPM=1 GOGC=$${GOGC:-400} go test -vet=off -skip '^Test(English|FilesReferOneWay)$$' -p $(PACKAGES) -parallel $(PARALLEL) $(TESTED)

.PHONY: race
race: ## Run the tests with the race detector (needs a C compiler)
	TEST_WITHOUT_NPM=1 go test -race -vet=off -p $(PACKAGES) $(TESTED)

.PHONY: repeat
repeat: ## Run the tests with the race detector COUNT times over, on one core and on several, to catch what one run misses
	TEST_WITHOUT_NPM=1 go test -race -count=$(COUNT) -cpu=1,4 -timeout=1h $(TESTED)

.PHONY: count
count: ## Count allocations and round trips, which do not depend on the machine
	go test -run '^Test(Allocations|RoundTrips)$$' -count=1 ./tokens ./sessionstore ./httpapi

.PHONY: alerts
alerts: ## Hold the dashboard and the alert rules against a service that runs
	cd test/observability && go test -count=1 ./...

.PHONY: bench
bench: ## Measure everything and compare it with its limits, into docs/performance.md (QUICK=1: under two minutes, into bin)
	cd bench && go run . $(if $(QUICK),-quick -out ../bin/performance.md,-out ../docs/performance.md)

.PHONY: clients
clients: ## Run our client, other people's, gateways and the tutorials against the service (needs node, npm, python3, ruby, nginx, caddy, haproxy, apache2 and chromium)
	go test -count=1 -timeout=30m ./examples/node-verifier ./examples/refresh-protocol ./examples/webshop ./test/tutorials
	cd test/clients && go test -count=1 ./...

.PHONY: compas
compas: ## Take over a database that the real @compas/store fills (needs node and npm)
	cd test/compas && go test -count=1 ./...

.PHONY: sockets
sockets: ## Hold the Go middleware against the libraries for WebSockets
	cd test/websockets && go test -count=1 ./...

.PHONY: frameworks
frameworks: ## Hold the Go middleware against web frameworks
	cd test/frameworks && go test -count=1 ./...

.PHONY: failover
failover: ## Take the primary away from the service (LONG=1: in every way, with the figures into docs/failover.md; needs patroni, etcd, haproxy and pgbouncer)
	cd test/failover && go test -count=1 -v -timeout=40m ./... $(if $(LONG),-args -long -update)

.PHONY: kubernetes
kubernetes: ## Render the Helm chart in every way, and run the service as it says
	cd test/kubernetes && go test -count=1 ./...

.PHONY: manifests
manifests: ## Regenerate deploy/kubernetes and the chart's copy of the alerts
	cd test/kubernetes && go test -count=1 -run '^TestManifests$$' . -update

.PHONY: release
release: ## Install and import the newest commit as others do a release, and test what makes one
	cd test/release && go test -count=1 ./...
	cd tools/release && go test -count=1 ./...

# Of a snapshot; a release takes its tag. Without PLATFORMS all of them are built.
SNAPSHOT  ?= 0.1.0-next
PLATFORMS ?=
RELEASED  ?= bin/release

.PHONY: release-snapshot
release-snapshot: ## Build what a release consists of (programs, packages, SBOMs, images, checksums) into bin/release, or for some PLATFORMS=linux/amd64,...
	go -C tools/release run . -root ../.. -version $(SNAPSHOT) -out ../../$(RELEASED) -only '$(PLATFORMS)'

.PHONY: packages
packages: ## Install, run, upgrade and remove the .deb and the .rpm in a clean Debian (as root; needs debootstrap, systemd-container, rpm, iproute2, curl and jq)
	@$(MAKE) --no-print-directory release-snapshot PLATFORMS=linux/$$(go env GOHOSTARCH) RELEASED=bin/packages
	@$(MAKE) --no-print-directory release-snapshot PLATFORMS=linux/$$(go env GOHOSTARCH) RELEASED=bin/packages-next SNAPSHOT=0.2.0-next
	test/packages.sh bin/packages bin/packages-next

.PHONY: soak
soak: ## Run lossy clients, thieves and crashing services for SOAKFOR
	go test $(RACE) -v -count=1 -timeout=0 ./test/soak -soak.for=$(SOAKFOR) -soak.shards=$(SOAKSHARDS) -soak.clock=$(SOAKCLOCK)

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME
	@set -e; \
	tests=$$(go test -list '^Fuzz' ./...); \
	echo "$$tests" | awk '/^Fuzz/ { name[++n] = $$1 } $$1 == "ok" { while (n) print $$2, name[n--] }' | while read -r package name; do \
	  echo "$$package $$name"; \
	  go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null || exit; \
	done

.PHONY: mutants
mutants: ## Break the pure packages in one place at a time, and list what no test notices: see docs/mutants.md
	@set -e; for one in $(MUTANTS); do \
	  echo "$${one%%=*}"; \
	  GOFLAGS="-vet=off -run=$${one#*=}" $(TOOL) gremlins unleash --output-statuses lt --workers 2 --timeout-coefficient 10 \
	    --invert-assignments --invert-bitwise --invert-bwassign --invert-logical --invert-loopctrl --remove-self-assignments "$${one%%=*}"; \
	done

.PHONY: micro
micro: ## Measure the hot functions, with their allocations
	go test -run '^$$' -bench . ./tokens ./sessionstore ./internal/refresh ./internal/canonical ./dataseal ./httpapi ./verifier ./audit

.PHONY: generate
generate: ## Regenerate the types of package client and of @latchkey/server from httpapi/openapi.yaml
	go generate ./client
	cd clients/server-js && npm ci --silent && npm run --silent generate

.PHONY: settings
settings: ## Regenerate the settings in docs/settings.md and the help in cmd/api/testdata from the code
	go test -count=1 -run '^(TestSettingsReference|TestHelp)$$' ./cmd/api -update

.PHONY: docs
docs: ## Build the documentation as a site into bin/site, and check its links (VERSIONS=v0.1.0: of these tags too; needs node and npm)
	@cd site && npm ci --silent --no-audit --no-fund && node build.mjs $(VERSIONS)

.PHONY: docs-check
# If no version is named, the newest commit takes the place of an earlier one.
docs-check: VERSIONS := $(shell git rev-parse --short HEAD)
docs-check: docs ## Visit every page of the site: pictures, diagrams, search, light and dark, a phone (needs chromium)
	@cd site && VERSIONS='$(VERSIONS)' node --test

.PHONY: fmt
fmt: ## Format the code
	@$(TOOL) golangci-lint fmt

.PHONY: lint
lint: ## Run the linters, of the English too, compile for Windows, and check that go.mod is tidy
	$(TOOL) golangci-lint run
	go test -count=1 -run '^Test(English|FilesReferOneWay)$$' ./docs
	GOOS=windows go build -o /dev/null $$(go list -f '{{if .GoFiles}}{{.ImportPath}}{{end}}' ./... | grep -v '/internal/test\|/test/')
	go mod tidy -diff
	cd bench && go tool -modfile=../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/clients && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/containers && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/observability && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/compas && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/websockets && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/frameworks && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/failover && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/kubernetes && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd test/release && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff
	cd tools/release && go tool -modfile=../../tools/go.mod golangci-lint run --disable depguard && go mod tidy -diff

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what the service uses (asks vuln.go.dev)
	$(TOOL) govulncheck ./...

.PHONY: verify
verify: lint test vuln ## All that a change has to pass: lint, test and vuln

.PHONY: clean
clean: ## Remove what was built (the data in ./var stays)
	rm -rf bin
