SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The version that the manager and the plugin call themselves.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# The image that docker-build makes and deploy uses.
IMG ?= tenantry/manager:dev
CONTAINER_TOOL ?= docker
KUBECTL ?= kubectl

# Pure Go: no C compiler is needed, binaries are static, and all commands share one build cache.
export CGO_ENABLED := 0
GOFLAGS ?= -buildvcs=false
export GOFLAGS

##@ General

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make <target>" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Code

# check-generated sends the generators' output elsewhere.
DEEPCOPY_DIR := api/v1alpha1
CRD_DIR := config/crd/bases
RBAC_DIR := config/rbac
DASHBOARD_DIR := config/prometheus/dashboards
CHART_DIR := charts/tenantry

.PHONY: generate
generate: bin/controller-gen ## Generate the deep copies of the API types.
	bin/controller-gen object paths=./api/... output:object:dir=$(DEEPCOPY_DIR)

.PHONY: manifests
manifests: bin/controller-gen bin/kustomize ## Generate the CRDs and the operator's ClusterRole from markers, the dashboards and the chart.
	bin/controller-gen crd paths=./api/... output:crd:dir=$(CRD_DIR)
	go run ./hack/crds $(CRD_DIR)
	bin/controller-gen rbac:roleName=tenantry-manager paths=./internal/... paths=./cmd/... output:rbac:dir=$(RBAC_DIR)
	go run ./hack/dashboards $(DASHBOARD_DIR)
	go run ./hack/chart $(CHART_DIR)

.PHONY: check-generated
check-generated: ## Fail when generated files or go.mod files are not current.
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	mkdir "$$fresh/deepcopy" "$$fresh/crd" "$$fresh/rbac" "$$fresh/dashboards"; \
	$(MAKE) --no-print-directory generate manifests \
		DEEPCOPY_DIR="$$fresh/deepcopy" CRD_DIR="$$fresh/crd" RBAC_DIR="$$fresh/rbac" \
		DASHBOARD_DIR="$$fresh/dashboards" CHART_DIR="$$fresh/chart"; \
	{ diff -u $(DEEPCOPY_DIR)/zz_generated.deepcopy.go "$$fresh/deepcopy/zz_generated.deepcopy.go" && \
	  diff -ruN $(CRD_DIR) "$$fresh/crd" && \
	  diff -u $(RBAC_DIR)/role.yaml "$$fresh/rbac/role.yaml" && \
	  diff -ruN $(DASHBOARD_DIR) "$$fresh/dashboards" && \
	  diff -ruN $(CHART_DIR) "$$fresh/chart"; } || \
	{ echo "Generated files do not match their sources; run 'make generate manifests' and commit the result." >&2; exit 1; }
	@for module in . hack/tools hack/kubernetes hack/volumes test/network test/chart; do \
		go mod tidy -C "$$module" -diff || \
		{ echo "$$module/go.mod does not match the imports; run 'go mod tidy -C $$module' and commit the result." >&2; exit 1; }; \
	done

.PHONY: fmt
fmt: bin/golangci-lint ## Format all Go files.
	bin/golangci-lint fmt

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

# To check the types of hack/kubernetes is to check those of all Kubernetes, in 11 GB of memory.
SYNTAX_LINTERS := cyclop,depguard,dupword,funlen,misspell,nestif,whitespace

.PHONY: lint
lint: bin/golangci-lint ## Run the linters on all modules.
	bin/golangci-lint run
	cd hack/tools && ../../bin/golangci-lint run --config ../../.golangci.yml
	cd test/network && ../../bin/golangci-lint run --config ../../.golangci.yml
	cd test/chart && ../../bin/golangci-lint run --config ../../.golangci.yml
	cd hack/volumes && ../../bin/golangci-lint run --config ../../.golangci.yml
	cd hack/kubernetes && ../../bin/golangci-lint run --config ../../.golangci.yml --enable-only $(SYNTAX_LINTERS)

.PHONY: lint-fix
lint-fix: bin/golangci-lint ## Fix what the linters can fix by themselves.
	bin/golangci-lint run --fix

##@ Tests

.PHONY: test
test: ## Run every test; the first run also builds Kubernetes, which takes minutes.
	@go run ./hack/suites

.PHONY: test-unit
test-unit: ## Run the tests that start neither Kubernetes nor PostgreSQL.
	@go run ./hack/suites -unit

# What test-repeat runs, and how often.
SUITES ?=
N ?= 5

.PHONY: test-repeat
test-repeat: ## Run SUITES (all of them if left out) N times with one core kept busy; says which tests failed how often.
	@go run ./hack/suites -repeat $(N) -busy $(SUITES)

# With the folder of a PostgreSQL's programs in TENANTRY_POSTGRES_BIN they are tried on that; without, on the
# newest release of each major version, which npm has.
.PHONY: test-attacks
test-attacks: ## Try what tenants could do to each other on PostgreSQL 14 to 18, or that of TENANTRY_POSTGRES_BIN.
	go test -count=1 -timeout=60m ./internal/database/postgres -ginkgo.focus='on PostgreSQL$(if $(TENANTRY_POSTGRES_BIN), as installed)'

.PHONY: bench
bench: ## Measure the operator against a bare client, in turn; see .local/bench.json.
	go run ./hack/bench

.PHONY: bench-full
bench-full: ## Measure the same with tenants whose apps have all that an app can have; see .local/bench-full.json.
	go run ./hack/bench -full

.PHONY: bench-admission
bench-admission: ## Measure creates under all admission policies against none; see .local/bench-admission.json.
	go run ./hack/bench -admission -tenants 2000

.PHONY: bench-fleet
bench-fleet: ## Measure a tenant and a class among 5,000 tenants against 10, and a release; see .local/bench-fleet.json.
	go run ./hack/bench -fleet -tenants 5000

.PHONY: bench-databases
bench-databases: ## Measure provisioning on PostgreSQL against the bare SQL; see .local/bench-databases.json.
	go run ./hack/bench-databases

##@ Demo

# NODES=fake: no container starts, as on a machine that can't run any.
NODES ?=

.PHONY: demo
demo: ## Start Kubernetes, PostgreSQL, the operator and three tenants on this machine; NODES=fake is faster.
	go run ./hack/demo up $(if $(NODES),-nodes=$(NODES))

.PHONY: demo-down
demo-down: ## Stop what demo started, without a trace.
	go run ./hack/demo down

##@ Build

.PHONY: build
build: ## Build the manager and the kubectl plugin into bin.
	go build -ldflags="-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/manager ./cmd/kubectl-tenantry

.PHONY: docker-build
docker-build: ## Build the manager's container image, by the name IMG.
	$(CONTAINER_TOOL) build --build-arg VERSION=$(VERSION) --tag $(IMG) .

.PHONY: images
images: ## Make all images, without Docker, as OCI archives in .local/images.
	go run ./hack/images/make

.PHONY: release
release: bin/kustomize ## Make all files of the release VERSION in .local/release; DIRTY=1 tries out what is in no commit.
	go run ./hack/release -version="$(VERSION)" $(if $(IMAGE),-image="$(IMAGE)") $(if $(DIRTY),-dirty)

.PHONY: tools
tools: bin/controller-gen bin/ginkgo bin/golangci-lint bin/kustomize ## Build the developer tools of hack/tools into bin.

bin/controller-gen: PACKAGE := sigs.k8s.io/controller-tools/cmd/controller-gen
bin/ginkgo: PACKAGE := github.com/onsi/ginkgo/v2/ginkgo
bin/golangci-lint: PACKAGE := ./golangci-lint
bin/kustomize: PACKAGE := sigs.k8s.io/kustomize/kustomize/v5

bin/golangci-lint: hack/tools/golangci-lint/main.go
bin/controller-gen bin/ginkgo bin/golangci-lint bin/kustomize: hack/tools/go.mod hack/tools/go.sum
	@echo "Building $@ (needed once, golangci-lint takes a few minutes)"
	@go build -C hack/tools -ldflags="-s -w" -o ../../$@ $(PACKAGE)
	@touch $@

##@ Cluster

.PHONY: install
install: bin/kustomize ## Install the CRDs, the namespace and the operator's rights into the current cluster.
	bin/kustomize build config/prerequisites | $(KUBECTL) apply --server-side -f -

.PHONY: deploy
deploy: bin/kustomize ## Install all of the operator, with the image IMG, into the current cluster.
	bin/kustomize build config/default | sed 's|image: tenantry/manager:dev$$|image: $(IMG)|' | \
		$(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: bin/kustomize ## Remove the operator and its API from the current cluster.
	@left=$$($(KUBECTL) get tenants.tenantry.dev,databaseservers.tenantry.dev,tenantclasses.tenantry.dev --output=name 2>/dev/null || true); \
	if [ -n "$$left" ]; then \
		printf 'These are still there, and only the operator can clean up after them; delete them first:\n%s\n' "$$left" >&2; \
		exit 1; \
	fi
	@claims=$$($(KUBECTL) get persistentvolumeclaims --namespace tenantry-databases --output=name); \
	clusters=$$($(KUBECTL) get clusters.postgresql.cnpg.io --namespace tenantry-databases --output=name 2>/dev/null || true); \
	if [ -n "$$claims$$clusters" ]; then \
		printf 'The namespace tenantry-databases would go with the data that deleted tenants have left behind; delete these, or save what they have, first:\n%s\n' "$$claims $$clusters" >&2; \
		exit 1; \
	fi
	bin/kustomize build config/default | $(KUBECTL) delete --ignore-not-found -f -
