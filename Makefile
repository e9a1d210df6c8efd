# The few commands that are typed often. `go build` alone builds everything.
.PHONY: build test ci full clients bench reliability generate

build: ## the program, in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/headrace ./cmd/headrace

test: ## what needs Go alone
	go test ./...

ci: ## what must hold before a change goes in
	.ci/run

full: ## the same, nothing sliced
	.ci/run full

clients: ## real clients against a Headrace of this tree
	test/clients/run.sh

bench: ## the figures of the README
	bench/run.sh

reliability: ## the table of docs/reliability.md
	go test ./test/reliability -update -timeout 30m

generate: ## files that are made from others
	go generate ./...
	cd test/clients/go && go generate ./...
