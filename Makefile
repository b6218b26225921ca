# Everything that Waymark is built, tested and shown with. Needs Go, make and Python 3.

SHELL := /bin/sh
ENGINE ?= wasm
# The Envoys that tests run on, and the one for everything else.
ENVOYS := 1.36.4 1.37.0 1.38.2 1.39.3 1.40.0
ENVOY  := 1.39.3
TOOLS  := $(CURDIR)/.tools
LINTER := v2.15.0
RELEASER := v2.16.0
SBOM   := v1.10.0
CASES  ?=

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: needs-go needs-python needs-clang
needs-go:
	@command -v go >/dev/null || { echo "go is missing: Waymark is built with Go 1.26 or later" >&2; exit 1; }
	@case $$(go env GOVERSION) in go1.2[6-9]*|go1.[3-9][0-9]*|devel*) ;; \
		*) echo "$$(go env GOVERSION) is too old: Waymark is built with Go 1.26 or later" >&2; exit 1 ;; esac
needs-python:
	@command -v python3 >/dev/null || { echo "python3 is missing: it installs the pinned Envoys, makes pictures and tables of docs and checks links" >&2; exit 1; }

needs-clang:
	@{ command -v clang-19 && command -v wasm-ld-19 && command -v llvm-config-19 && ls /usr/lib/llvm-19/include/clang-c/Index.h; } >/dev/null 2>&1 || \
		{ echo "clang 19 is missing: the small module is built with the packages clang-19, lld-19, llvm-19-dev and libclang-19-dev of Debian" >&2; exit 1; }

.PHONY: build
build: needs-go ## write bin/waymark and the modules bin/waymark.wasm and bin/waymark-small.wasm
	@mkdir -p bin
	@go run ./build/module -check || $(MAKE) --no-print-directory module
	@go run ./build/module -small -check || $(MAKE) --no-print-directory module-small || \
		echo "bin/waymark-small.wasm is built from older sources, and its tests will fail." >&2
	CGO_ENABLED=0 go build -trimpath -ldflags="-X main.version=$(VERSION) -X main.commit=$(COMMIT)" -o bin/waymark ./cmd/waymark
	bin/waymark module -o bin/waymark.wasm
	bin/waymark module small -o bin/waymark-small.wasm

.PHONY: module
module: needs-go ## build the filter's module again, which bin/waymark has in it (filter/embedded)
	go run ./build/module

.PHONY: module-small
module-small: needs-go needs-clang ## build the filter's small module again, with TinyGo, which is compiled first
	go run ./build/module -small -tools $(TOOLS)

.PHONY: image
image: build ## build the images waymark (command line, modules, Envoy) and waymark-plugin (a module alone)
	@build/docker.sh image
	@docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' --filter 'reference=waymark*'

.PHONY: demo
demo: build ## serve the bookinfo example and show what happens (ENGINE=wasm|envoy)
ifeq ($(ENGINE),envoy)
	@$(MAKE) --no-print-directory needs-python
	@build/envoy/install.sh $(ENVOY)
	ENVOY_BIN=$${ENVOY_BIN:-.cache/envoy/$(ENVOY)/envoy} bin/waymark demo --engine envoy
else
	bin/waymark demo --engine $(ENGINE)
endif

.PHONY: envoy
envoy: needs-python ## install the pinned Envoys below .cache/envoy
	@build/envoy/install.sh $(ENVOYS)
	@for v in $(ENVOYS); do echo .cache/envoy/$$v/envoy; done

.PHONY: apiserver
apiserver: needs-go ## build the Kubernetes API server that tests use, below .cache/apiserver
	@build/apiserver.sh
	@echo .cache/apiserver/kube-apiserver

# The tests of e2e, which is a module of its own, run one package after the other: they measure, and share the machine's ports.
.PHONY: test
test: build envoy apiserver ## pass every test, on real Envoys and in containers too
	go vet ./...
	go -C e2e vet -tags clang,docker,prometheus ./...
	@$(MAKE) --no-print-directory vet-module
	@tags=none; ! build/docker.sh able || tags=docker; \
	if command -v prometheus >/dev/null; then tags=$$tags,prometheus; \
	else echo "The test of the dashboard is left out: prometheus is missing (.ci/run installs it)." >&2; fi; \
	if $(MAKE) --no-print-directory needs-clang; then tags=$$tags,clang; \
	else echo "Tests that build the small module are left out; those of the committed one are not." >&2; fi; status=0; set -x; \
	go test -count=1 -timeout 35m $(TESTFLAGS) ./... || status=1; \
	[ "$$(go env GOHOSTOS/GOHOSTARCH)" != linux/amd64 ] || GOARCH=386 go test -count=1 ./routing ./hostcalls/... ./filter/... || status=1; \
	go -C e2e test -count=1 -timeout 35m -p 1 -tags $$tags $(TESTFLAGS) ./... || status=1; \
	exit $$status

# What is compiled to Wasm, as it is compiled there. File by file, since the tests beside it are the host's.
.PHONY: vet-module
vet-module: export GOOS = wasip1
vet-module: export GOARCH = wasm
vet-module: needs-go
	@for p in routing hostcalls filter filter/wasm e2e/bench/floor e2e/bench/naive; do \
		echo "GOOS=wasip1 GOARCH=wasm go vet $$p"; \
		(cd $$p && files=$$(go list -f '{{join .GoFiles " "}}') && go vet $$files) || exit 1; done

.PHONY: test-quick
test-quick: needs-go ## pass the tests that need neither Envoy nor containers
	go test ./...
	go -C e2e test ./plain -run '^(TestImports|TestArchitectureNamesThePackages|TestNothingInTheRequestPathPanics)$$'

# The systems that the command line is built for. Only Linux has Envoys to run; whatever decides works on all of them.
SYSTEMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
.PHONY: cross
cross: needs-go ## build the command line for Linux, macOS and Windows, on amd64 and arm64
	@for s in $(SYSTEMS); do \
		echo "$$s"; \
		export CGO_ENABLED=0 GOOS=$${s%/*} GOARCH=$${s#*/}; \
		go build -trimpath -buildvcs=false -o /dev/null ./cmd/waymark && go vet ./cmd/waymark ./envoy/process/... ./internal/listening || exit 1; \
	done

.PHONY: snapshot
snapshot: needs-go $(TOOLS)/goreleaser-$(RELEASER) $(TOOLS)/cyclonedx-gomod ## make what a release is made of below dist, and publish nothing
	PATH="$(TOOLS):$$PATH" build/snapshot.sh $(TOOLS)/goreleaser-$(RELEASER)

$(TOOLS)/goreleaser-$(RELEASER): needs-go
	@[ -x $@ ] || { mkdir -p $(TOOLS) && GOBIN=$(TOOLS) go install -p 2 github.com/goreleaser/goreleaser/v2@$(RELEASER) && mv $(TOOLS)/goreleaser $@; }

# By the name that .goreleaser.yaml calls it.
$(TOOLS)/cyclonedx-gomod: needs-go
	@[ -x $@ ] && $@ version | grep -q '$(SBOM)$$' || { mkdir -p $(TOOLS) && GOBIN=$(TOOLS) go install -p 2 github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM); }

.PHONY: conformance
conformance: needs-go ## hold our verdicts against Istio's own (CASES=DIR: those of another folder)
	WAYMARK_CASES="$(abspath $(CASES))" go -C e2e test -count=1 ./plain -run 'TestConformance$$' -v

.PHONY: bench
bench: build envoy ## measure decisions natively, under wazero and in a real Envoy, side by side (BENCHFLAGS)
	@mkdir -p .cache/bench
	@for m in floor naive; do go -C e2e run waymark.dev/waymark/build/module -package ./bench/$$m -o ../.cache/bench/$$m.wasm || exit 1; done
	@cp bin/waymark-small.wasm .cache/bench/small.wasm
	@go -C e2e build -o ../.cache/bench/bench ./bench
	.cache/bench/bench $(BENCHFLAGS)

.PHONY: bench-envoy
bench-envoy: ## measure every shape of rules in a real Envoy: filter, list, tree, Lua (BENCHFLAGS)
	@$(MAKE) --no-print-directory bench BENCHFLAGS="-shapes all -tables requests $(BENCHFLAGS)"

.PHONY: bench-docs
bench-docs: ## measure what docs/performance.json has, which takes about an hour (BENCHFLAGS)
	@$(MAKE) --no-print-directory bench BENCHFLAGS="-shapes all -tables requests,starts,translation -rules 10,100,1000,10000 -o docs/performance.json $(BENCHFLAGS)"

.PHONY: bench-fleet
bench-fleet: needs-go ## measure what docs/fleet.json has: a control plane with 1,000 proxies beside go-control-plane's caches (FLEETFLAGS)
	@mkdir -p .cache/bench
	@go -C e2e build -o ../.cache/bench/fleetbench ./fleetbench
	.cache/bench/fleetbench -o docs/fleet.json $(FLEETFLAGS)

.PHONY: soak
soak: build envoy ## send a million requests through 10,000 rules that change every five seconds
	WAYMARK_SOAK_REQUESTS=1000000 go -C e2e test -count=1 -timeout 60m ./envoy -run 'TestSoak$$' -v

.PHONY: fuzz
fuzz: needs-go ## fuzz the decoders and the engine, each for FUZZTIME (default 30s)
	@build/fuzz.sh $${FUZZTIME:-30s} ./istio/resource:FuzzRead ./istio/resource:FuzzDecode ./gateway:FuzzRead ./hostcalls:FuzzParsePairs ./routing:FuzzCompile ./routing:FuzzCompact ./routing:FuzzDecide ./envoy:FuzzDecide ./routing/regex:FuzzMatch ./lint:FuzzFindings ./e2e/plain:FuzzDecide

.PHONY: fuzz-long
fuzz-long: needs-go ## fuzz decisions against a plain list for ten minutes natively and ten through the modules
	@build/fuzz.sh 10m ./routing:FuzzDecide ./e2e/plain:FuzzDecide ./envoy:FuzzDecide

.PHONY: attack
attack: build envoy ## repeat the comparison of nasty requests and the fuzzers for ten minutes, with new seeds (MINUTES)
	@build/attack.sh $(or $(MINUTES),10)

.PHONY: judge
judge: needs-go ## hold check and diff against generated rules whose truth is known by trying all requests (SETS, default 1000)
	WAYMARK_RULE_SETS=$(or $(SETS),1000) go test -count=1 -timeout 60m ./lint ./diff -run 'Complete|Attacks|Formulas'

.PHONY: mutants
mutants: needs-go ## break the code in some 140 places, one at a time: a quick test must notice each (MUTANTS="-only routing/")
	go run ./build/mutants $(MUTANTS)

.PHONY: vulnerabilities
vulnerabilities: needs-go ## look for known vulnerabilities in what is built, where their database can be reached
	@build/vulnerabilities.sh

.PHONY: plots
plots: needs-python ## make the pictures and tables of docs from docs/performance.json, which bench-docs measures
	build/plots.py

.PHONY: lint
lint: needs-python $(TOOLS)/golangci-lint-$(LINTER) ## check style, import directions, formatting, links of documents, what make plots makes
	build/links.py
	build/plots.py --check
	$(TOOLS)/golangci-lint-$(LINTER) run ./...
	cd e2e && $(TOOLS)/golangci-lint-$(LINTER) run ./...
	GOOS=wasip1 GOARCH=wasm $(TOOLS)/golangci-lint-$(LINTER) run --tests=false ./routing ./hostcalls ./filter/...

$(TOOLS)/golangci-lint-$(LINTER): needs-go
	@[ -x $@ ] || { mkdir -p $(TOOLS) && GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTER) && mv $(TOOLS)/golangci-lint $@; }

.PHONY: clean
clean: ## remove what was built and installed
	rm -rf bin dist .cache e2e/.cache .tools
