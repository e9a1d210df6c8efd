#!/usr/bin/env bash
# What a new user types, from a clone to an answer in Claude Code, each command timed. Nothing of this machine's is used but
# Go with its caches, git, and Claude Code: from PATH, or where HEADRACE_CLAUDE says.
#
#   test/first/run.sh            clone this repository as it is committed
#   test/first/run.sh URL        clone that one
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
from=${1:-$here}
claude=${HEADRACE_CLAUDE:-$(command -v claude || true)}
[ -n "$claude" ] || { echo "Claude Code is not here: npm install -g @anthropic-ai/claude-code, or say where with HEADRACE_CLAUDE" >&2; exit 2; }
work=$(mktemp -d)
server=
stop() {
	[ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
	rm -rf "$work"
}
trap stop EXIT
GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
export GOCACHE GOMODCACHE GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
export HOME=$work/home XDG_DATA_HOME=$work/data
mkdir -p "$HOME" && cd "$work"
unset ANTHROPIC_API_KEY ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN
port=$((20000 + RANDOM % 20000))
n=0 all=0
timed() { # timed COMMAND...: says what was typed and how long it took
	local begin end
	n=$((n + 1)) begin=$(date +%s%N)
	"$@"
	end=$(date +%s%N)
	all=$((all + end - begin))
	printf '%d. %6d ms  %s\n' "$n" $(((end - begin) / 1000000)) "$typed"
}

typed='git clone URL headrace && cd headrace'
clone() { git clone -q "$from" headrace && cd headrace; }
timed clone

typed='go build -o bin/headrace ./cmd/headrace'
timed go build -o bin/headrace ./cmd/headrace

typed='export HEADRACE_KEY=$(openssl rand -hex 20)'
preset() { HEADRACE_KEY=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n') && export HEADRACE_KEY; }
timed preset

typed='bin/headrace serve &'
serve() {
	bin/headrace serve --listen "127.0.0.1:$port" >"$work/serve.log" 2>&1 &
	server=$!
	until curl -sf "http://127.0.0.1:$port/readyz"; do
		kill -0 "$server" || { cat "$work/serve.log" >&2; return 1; }
		sleep 0.02
	done
}
timed serve

typed='ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_AUTH_TOKEN=$HEADRACE_KEY claude --model rehearsal/steady'
ask() {
	ANTHROPIC_BASE_URL=http://127.0.0.1:$port ANTHROPIC_AUTH_TOKEN=$HEADRACE_KEY ANTHROPIC_DEFAULT_HAIKU_MODEL=rehearsal/quick \
		CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1 IS_SANDBOX=1 \
		timeout 120 "$claude" -p 'Say hello' --model rehearsal/steady </dev/null >"$work/answer.txt"
}
timed ask
[ -s "$work/answer.txt" ] || { echo "Claude Code said nothing" >&2; exit 1; }
printf '   %6d ms  in all, %d commands\n\nClaude Code said: %s\n' $((all / 1000000)) "$n" "$(head -c 200 "$work/answer.txt" | tr '\n' ' ')"
