# Two commands for a newcomer: `make run` and `make test`. The others are for maintainers: CONTRIBUTING.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help run demo test test-one fast pictures soak newer-postgres kamailio failover deb static check assets sqlx sqlx-check bench bench-all tools-run tools-test

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: tools-run ## Build the portal and start it on its private PostgreSQL
	@echo "Try it: request federation for sip.example.com and example.com, with any programme and the number 1234567." >&2
	@echo "README.md has more to type; \`make demo\` shows a portal that is in use. Ctrl-C stops it, the data stays." >&2
	cargo run --locked

demo: tools-run ## Build the portal and show it with made-up organisations in every state
	cargo run --locked -- demo

test: tools-test node_modules ## Run all tests, those in a real browser and with a real Kamailio too
	cargo test --locked
	python3 tests/kamailio/run.py --short

test-one: tools-run ## Run the tests whose path contains T, like T=retention::emptying
	@test -n "$(T)" || { echo "say which: make test-one T=retention::emptying" >&2; exit 2; }
	cargo test --locked --lib --test portal -- $(T)

fast: ## Check format and lints, and run the unit tests
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --lib

pictures: tools-test node_modules ## Take a picture of every page, light and dark, wide and narrow, into target/pictures
	BROWSER_OUT=$(CURDIR)/target/pictures cargo test --locked --test browser matrix::

soak: tools-test ## Run the long forms of the tests, for an hour or so
	PIC_FUZZ=100000 PIC_SLOW=300 cargo test --locked --test portal front_door
	PIC_TRIES=1000 cargo test --locked --test portal tries::passwords -- --nocapture
	PIC_KILLS=60 PIC_DATABASE_KILLS=25 cargo test --locked --test portal crash::kills -- --nocapture
	PIC_TEST_ROUNDS=20 cargo test --locked --test portal faults:: -- --nocapture
	PIC_EVIDENCE_DOMAINS=1000 cargo test --locked --test portal bounds:: -- --nocapture
	PIC_EVERY_FAULT=1 cargo test --locked --test portal crash::statements
	PIC_EVERY_LIMIT=1 cargo test --locked --test portal readiness_tls::constraints
	PIC_BODIES=256 cargo test --locked --test portal crash::bodies -- --nocapture
	PIC_STARVE=560 cargo test --locked --test portal checks::turns::silent_zones -- --nocapture
	PIC_SOAK_SECONDS=$${PIC_SOAK_SECONDS:-600} cargo test --locked --test portal crash::memory -- --nocapture
	cargo test --locked --test portal readiness_tls::kamailio -- --ignored --nocapture
	python3 tests/kamailio/soak.py $${PIC_CHANGES:-10000}

newer-postgres: tools-test ## Run the tests of the database on a newer PostgreSQL too, and move data to it: NEWER=/path/to/its/bin
	@test -x "$(NEWER)/initdb" || { echo "say where its programs are: make newer-postgres NEWER=/usr/lib/postgresql/18/bin" >&2; exit 2; }
	PIC_NEWER_POSTGRES=$(NEWER) cargo test --locked --test portal -- backup:: --nocapture
	PATH=$(NEWER):$$PATH cargo test --locked --test portal

deb: ## Build a Debian package into target/debian (BINARY=path takes one that is built)
	[ -n "$${BINARY:-}" ] || cargo build --release --locked --bin pic-portal
	mkdir -p target/debian
	deploy/debian/build "$${BINARY:-target/release/pic-portal}" target/debian

static: ## Build a binary that needs no library of its machine (Debian: libssl-dev has all; docs/operating.md)
	OPENSSL_STATIC=1 RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --bin pic-portal \
		--target "$$(rustc --print host-tuple)" --target-dir target/static

check: ## What CI checks before the tests: format, lints, documentation, dependencies, queries; no tests
	.ci/check

assets: ## Build static/ from static/source (needs node 20 or later)
	static/source/build.sh

sqlx: ## Check all queries against a real schema, write .sqlx and docs/schema.sql
	.ci/sqlx write

sqlx-check: ## Check that .sqlx and docs/schema.sql are what the queries and the migrations make them
	.ci/sqlx check

bench: tools-run ## Measure as ratios against yardsticks, in ten minutes; SUBJECTS="p1 p4": some of it
	cargo bench --locked --bench speed -- $(SUBJECTS)

bench-all: tools-run ## Run every benchmark there is, in an hour
	cargo bench --locked

kamailio: ## Run deploy/kamailio with a real Kamailio and a portal, in three minutes (as root; its README names the packages)
	cargo build --locked --bin pic-portal
	python3 tests/kamailio/run.py

failover: ## Fail over real databases and restart portals behind real proxies under load, for an hour or so (as root; tests/ha/run.py names the packages); FAULTS=50
	cargo build --locked --bin pic-portal
	for way in direct haproxy pgbouncer; do python3 tests/ha/run.py $$way $${FAULTS:-50}; done
	for way in haproxy nginx; do python3 tests/ha/rolling.py $$way; done

tools-run:
	@.ci/install run

tools-test:
	@.ci/install test

# axe-core and html-validate, for the tests in the browser, and the OpenID provider; exact versions by the lock files.
node_modules: static/source/node_modules/.package-lock.json tests/oidc/node_modules/.package-lock.json

static/source/node_modules/.package-lock.json: static/source/package.json static/source/package-lock.json
	cd static/source && npm ci --ignore-scripts --no-audit --no-fund

tests/oidc/node_modules/.package-lock.json: tests/oidc/package.json tests/oidc/package-lock.json
	cd tests/oidc && npm ci --ignore-scripts --no-audit --no-fund
