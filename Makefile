# `make help` lists the targets. Nothing but Go and make is needed beforehand: what else is missing is installed
# from Debian's or Ubuntu's packages.

MODULES := platform proto api-gateway inventory-service user-service order-service event-service orchestrator-service stack
SHELL := /bin/sh
.DEFAULT_GOAL := help
export GOTOOLCHAIN := local

# in_each runs a command in every module, all of them also when one fails, each as it is without the workspace.
in_each = failed=; for module in $(MODULES); do (cd "$$module" && $(1)) || failed="$$failed $$module"; done; \
	[ -z "$$failed" ] || { echo "FAILED in:$$failed" >&2; exit 1; }

STACK := go run ./stack/cmd/stack

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##### Running

.PHONY: demo audit
demo: ## Install what is missing, start the stack, play the scenarios, audit; the stack stays up
	@$(STACK) demo
audit: ## Count offenders against every invariant over the five databases; fails on any
	@$(STACK) audit

.PHONY: start down status logs restart env
start: ## Build and start the whole stack natively, under .run/; PORT=8000 is the gateway's
	@$(STACK) up
down: ## Stop the stack, native or in containers; data stays
	@! docker compose ps -aq 2>/dev/null | grep -q . || docker compose --profile '*' down
	@$(STACK) down
status: ## Show which parts run, and where
	@$(STACK) status
logs: ## Follow the logs; PART=user-service for one of them
	@$(STACK) logs $(PART)
restart: ## Restart one part: PART=user-service, ENV="LOG_LEVEL=debug HOLD_TTL=10s" if need be
	@$(STACK) restart $(PART) $(ENV)
env: ## Print the running stack's addresses and secrets
	@$(STACK) env

##### Running in containers (docs/docker.md)

.PHONY: up dev demo-docker audit-docker kong-image
up: .env kong-image ## Build and start the whole stack with docker compose, with the sandbox, and wait until all is healthy
	@docker compose --profile sandbox up --build -d --wait --wait-timeout 300
	@echo "TicketRemaster listens on $(COMPOSE_GATEWAY); codes and payments of the sandbox are on $(COMPOSE_SANDBOX)"
dev: .env kong-image ## The same with verbose logs and open ports; a saved file builds its service anew
	@docker compose -f docker-compose.yml -f docker-compose.dev.yml up --build --watch
demo-docker: up ## Play the scenarios against the containers, and audit
	@$(STACK) demo docker
audit-docker: ## Count offenders against every invariant over the containers' databases; fails on any
	@docker compose run --build --rm -T audit-grant && docker compose run --rm -T audit
kong-image:
	@.ci/kong-image
.env:
	@cp .env.example .env && echo "made .env of .env.example"
COMPOSE_GATEWAY = $$(docker compose port api-gateway 8000 | sed 's,.*:,http://127.0.0.1:,')
COMPOSE_SANDBOX = $$(docker compose port sandbox 8025 | sed 's,.*:,http://127.0.0.1:,')

##### Measuring

BENCH = cd stack && GOWORK=off go test -run '^$$' -bench . -benchtime 1x -timeout 30m -v ./bench

.PHONY: bench profile
bench: ## Measure the system on a stack of its own; BENCH_QUICK=1 for a shorter run, BENCH_ONLY=RV for some rows
	@$(BENCH)
profile: ## CPU profiles of the services under load into .run/profile; KIND=R, P or V
	@BENCH_PROFILE=$(or $(KIND),R) $(BENCH)

##### Developing

.PHONY: build generate schema fmt tidy
build: ## Build every program into .run/bin
	@mkdir -p .run/bin && go build -o .run/bin/ $(foreach module,$(MODULES),./$(module)/...)
generate: ## Compile the .proto files and render the API's page again
	@cd proto && GOWORK=off go generate ./...
	@cd orchestrator-service && GOWORK=off go generate ./apidocs
schema: ## Dump the schemas that the migrations make into docs/schema
	@for service in inventory user order event orchestrator; do \
	(cd $$service-service && UPDATE_SCHEMA=1 GOWORK=off go test -count=1 -run TestDumpIsCurrent ./postgres) || exit 1; done
fmt: ## Format all Go files
	@gofmt -l -w $(MODULES)
tidy: ## Tidy every module
	@$(call in_each,GOWORK=off go mod tidy)

##### Checking

.PHONY: test check check-format check-vet check-tidy check-generated check-citations
TESTFLAGS ?= -timeout 15m
test: ## Run every module's tests, on one PostgreSQL and one RabbitMQ that they share
	@go run ./stack/cmd/testservers $(MAKE) --no-print-directory test-modules
.PHONY: test-modules
test-modules: # on servers of their own, one per test program, when called by itself
	@# The stack's packages one after the other: each starts a whole system, and kills or stops its parts at moments of time.
	@$(call in_each,GOWORK=off go test $(TESTFLAGS) $$([ $$module != stack ] || echo -p 1) ./...)

.PHONY: coverage
coverage: ## Print what share of each flow's statements its own tests run; they need no server
	@cd orchestrator-service && GOWORK=off go test -cover ./purchase ./transfer ./marketplace ./refund ./gate ./catalogue ./tickets ./saga ./sweep ./seatmap

.PHONY: e2e
e2e: ## Run the end-to-end tests on a stack of their own; GATEWAY_URL=… SANDBOX_URL=… takes a running one
	@# Some forge tokens and codes: the secrets of a running system are those of its .env, unless the environment has them.
	@if [ -n "$$GATEWAY_URL" ] && [ -z "$$QR_ENCRYPTION_KEY" ] && [ -f .env ]; then set -a; . ./.env; set +a; fi; \
	cd stack && GOWORK=off go test -count=1 $(TESTFLAGS) ./e2e
.PHONY: gateway-conformance
gateway-conformance: ## Hold the gateway to its contract; GATEWAY_URL=… JWT_SECRET=… takes a running one
	@cd api-gateway && GOWORK=off go test -count=1 $(TESTFLAGS) ./conformance

check: check-format check-citations check-tidy check-generated check-vet ## Formatting, links, go.mod, generated code, go vet, staticcheck
check-format:
	@unformatted=$$(gofmt -l $(MODULES)) && [ -z "$$unformatted" ] || { echo "not formatted (make fmt):" $$unformatted >&2; exit 1; }
check-citations: # links in documents, citations in comments
	@cd stack && GOWORK=off go test -count=1 ./citations
check-tidy:
	@$(call in_each,GOWORK=off go mod tidy -diff)
check-generated: # compiled again into a copy and compared, so that uncommitted work is not in the way
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && cp -a proto "$$copy/" && (cd "$$copy/proto" && GOWORK=off go generate ./...) && \
	diff -r proto "$$copy/proto" || { echo "the generated code is stale: make generate" >&2; exit 1; }
	@cd orchestrator-service && GOWORK=off go test ./apidocs/...
check-vet: .run/tools/staticcheck # vet in the workspace, staticcheck without: both ways of building are covered; macOS too
	@go vet $(foreach module,$(MODULES),./$(module)/...)
	@GOOS=darwin CGO_ENABLED=0 go vet $(foreach module,$(MODULES),./$(module)/...)
	@$(call in_each,GOWORK=off "$(CURDIR)/.run/tools/staticcheck" ./...)
.run/tools/staticcheck: .ci/go.mod
	@mkdir -p .run/tools && cd .ci && GOWORK=off go build -o ../.run/tools/staticcheck honnef.co/go/tools/cmd/staticcheck

.PHONY: clean
clean: ## Stop the stack and remove .run/ with all its data
	@$(STACK) clean
