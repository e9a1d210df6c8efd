#!/usr/bin/env bash
# Measures Headrace against Go's bare reverse proxy and prints a markdown report.
#
#   bench/run.sh          at least 7 rounds a case, 100,000 requests for memory: figures to quote (about 20 minutes)
#   bench/run.sh quick    short rounds for CI (about 2 minutes); fails only when a figure is over 1.5 times its aim
#   bench/run.sh [quick] -only stream64 -cpu-only ...    flags of bench/cmd/bench
#
# HEADRACE_BIN names a headrace that is built already.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 2
bin=$here/out/bin
mkdir -p "$bin" || exit 2
export CGO_ENABLED=0
(cd "$here" && go build -o "$bin/" ./cmd/...) || exit 2
if [ -n "${HEADRACE_BIN:-}" ]; then
	cp "$HEADRACE_BIN" "$bin/headrace" || exit 2
else
	(cd "$here/.." && go build -trimpath -o "$bin/headrace" ./cmd/headrace) || exit 2
fi
flags=()
if [ "${1:-}" = quick ]; then
	shift
	flags=(-few -rounds 3 -d 700ms -warm 300ms -requests 20000 -starts 3)
fi
exec "$bin/bench" -bin "$bin" "${flags[@]}" "$@"
