#!/usr/bin/env bash
# Acceptance with real clients: installs the official SDKs, some frameworks, Claude Code and Codex in their pinned
# versions and runs them, unmodified but for base URL and key, against a Headrace that this script builds and starts.
# Behind it stand the rehearsal provider and a replaying provider (test/clients/go/cmd/replay) as "openai", "anthropic",
# "gemini" and "ollama", so that every client speaks to every dialect. Two clients run at a time; one line a check;
# exit 1 when one fails. What cannot be installed is skipped, and says why.
#
#   test/clients/run.sh                    everything, with a sample of the recorded answers if there are any
#   test/clients/run.sh python js          only these: python js ai go claude-code codex
#   test/clients/run.sh -all               every recorded answer
#   test/clients/run.sh -direct            straight to the replaying provider, no Headrace: are the checks themselves right?
#
# HEADRACE_BIN        a headrace that is built already
# HEADRACE_CORPUS     recorded traffic (default: ../shared/corpus beside the repository, when it is there)
# HEADRACE_CLIENTS    where the clients are installed (default: ~/.cache/headrace/clients)
# Needs Go, Python 3.11 or newer with venv, npm and Node; Node 22 comes from npm where the system's is older.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 2
root=$(cd "$here/../.." && pwd) || exit 2
cache=${HEADRACE_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/headrace/clients}
work=$(mktemp -d) || exit 2
pids=() python='' js=''

stop() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

die() {
	echo "run.sh: $*" >&2
	[ -s "$work/headrace.log" ] && { echo "--- headrace says:"; tail -n 40 "$work/headrace.log"; } >&2
	exit 2
}

direct='' recordings=60 groups=()
for arg in "$@"; do
	case $arg in
	-direct) direct=yes ;;
	-all) recordings=1000000 ;;
	python | js | ai | go | claude-code | codex) groups+=("$arg") ;;
	*) die "unknown argument $arg (python js ai go claude-code codex -all -direct)" ;;
	esac
done
[ ${#groups[@]} -gt 0 ] || groups=(python js ai go claude-code codex)
corpus=${HEADRACE_CORPUS:-$root/../shared/corpus}
[ -d "$corpus/open" ] || { corpus='' recordings=0; }

# --- build and install

# installed NAME KEY COMMAND...: runs the command once in a folder of the cache that is named after NAME and KEY; the
# folder is in $into. What fails is a line "skip", and false.
installed() {
	local name=$1 key=$2
	shift 2
	into=$cache/$name-$key
	[ -e "$into/.done" ] && return 0
	[ -e "$work/skipped-$name" ] && return 1
	echo "installing $name into $into"
	rm -rf "$into" && mkdir -p "$into" || die "cannot make $into"
	if ! ("$@") >"$work/install.log" 2>&1 </dev/null; then
		printf 'skip\t%s\tall checks\t-\t0\tcannot be installed: %s\n' "$name" "$(grep -v '^ *$' "$work/install.log" | tail -n 3 | tr '\n\t' '  ' | cut -c 1-300)" | tee "$work/skipped-$name"
		return 1
	fi
	touch "$into/.done"
}
sum() { cat "$@" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-12; }

install_python() { python3 -m venv "$into/venv" && "$into/venv/bin/pip" install --require-hashes --only-binary :all: -r "$here/py/requirements.txt"; }
install_js() {
	cp "$here/js/package.json" "$here/js/package-lock.json" "$into/" && cd "$into" &&
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || return 1
	# Scripts are not run as packages wish; this one puts Claude Code's program for this machine in its place.
	cd node_modules/@anthropic-ai/claude-code && "$(node_22)" install.cjs
}
# node_22 gives a Node that the SDKs support: the system's, or the one from npm.
node_22() {
	if [ "$(node -p 'parseInt(process.versions.node)' 2>/dev/null || echo 0)" -ge 22 ]; then
		command -v node
	else
		echo "$into"/node_modules/node-*/bin/node
	fi
}

(cd "$here/go" && CGO_ENABLED=0 go build -o "$work/replay" ./cmd/replay) || die "the replaying provider does not build"
if [ -z "$direct" ]; then
	if [ -n "${HEADRACE_BIN:-}" ]; then
		cp "$HEADRACE_BIN" "$work/headrace" || die "HEADRACE_BIN: $HEADRACE_BIN"
	else
		(cd "$root" && CGO_ENABLED=0 go build -o "$work/headrace" ./cmd/headrace) || die "headrace does not build"
	fi
fi
for group in "${groups[@]}"; do
	case $group in
	python) installed python "$(python3 -V | sum - "$here/py/requirements.txt")" install_python && python=$into ;;
	js | ai | claude-code | codex) installed js "$(sum "$here/js/package-lock.json")" install_js && js=$into ;;
	go) (cd "$here/go" && CGO_ENABLED=0 go build -o "$work/go-check" ./cmd/check) || die "the Go checks do not build" ;;
	esac
done

# --- start the provider and the gateway

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
"$work/replay" ${corpus:+-corpus "$corpus"} >"$work/replay.url" 2>"$work/replay.log" &
pids+=($!)
for _ in $(seq 300); do [ -s "$work/replay.url" ] && break; sleep 0.1; done
replay=$(cat "$work/replay.url")
[ -n "$replay" ] || { cat "$work/replay.log" >&2; die "the replaying provider does not start"; }

export CLIENT_REPLAY=$replay CLIENT_CASES=$here/cases.json CLIENT_RECORDINGS=$recordings
# Whatever points the SDKs elsewhere in the caller's environment must not decide what is tested.
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL
unset GEMINI_API_KEY GOOGLE_API_KEY GOOGLE_GEMINI_BASE_URL GOOGLE_GENAI_USE_VERTEXAI OLLAMA_HOST OLLAMA_API_KEY CODEX_HOME LANGSMITH_API_KEY LANGSMITH_TRACING LANGCHAIN_TRACING_V2
if [ -n "$direct" ]; then
	export CLIENT_BASE=$replay CLIENT_KEY=sk-replay CLIENT_BACKENDS=direct CLIENT_RECORDINGS=0
else
	key=client-$(random)
	export CLIENT_ADMIN=admin-$(random)
	port=$("$work/headrace" --help >/dev/null 2>&1; python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	mkdir -p "$work/home" "$work/data"
	env -i PATH="$PATH" HOME="$work/home" HEADRACE_KEY="$key" HEADRACE_ADMIN_TOKEN="$CLIENT_ADMIN" OLLAMA_HOST="${replay#http://}" \
		GEMINI_API_KEY=sk-replay-gemini HEADRACE_GEMINI_BASE_URL="$replay/gemini" \
		OPENAI_API_KEY=sk-replay-openai HEADRACE_OPENAI_BASE_URL="$replay/openai/v1" \
		ANTHROPIC_API_KEY=sk-replay-anthropic HEADRACE_ANTHROPIC_BASE_URL="$replay/anthropic" \
		"$work/headrace" serve --config "$here/headrace.yaml" --listen "127.0.0.1:$port" --data "$work/data" >"$work/headrace.log" 2>&1 &
	headrace=$!
	pids+=("$headrace")
	for _ in $(seq 200); do
		[ "$(curl -s -o /dev/null -w '%{http_code}' -I "http://127.0.0.1:$port/api/hello")" = 200 ] && break
		kill -0 "$headrace" 2>/dev/null || die "headrace ended"
		sleep 0.05
	done
	for _ in $(seq 100); do grep -q 'msg=Ollama .*up=true' "$work/headrace.log" && break; sleep 0.05; done # it is looked for behind the start
	export CLIENT_BASE=http://127.0.0.1:$port CLIENT_KEY=$key CLIENT_BACKENDS='rehearsal openai anthropic gemini ollama'
fi

# --- run

results=$work/results
# run NAME COMMAND...: passes the lines of one program on. NAME stands for it when it ends without a word.
run() {
	local name=$1 code at=$work/of-$1
	shift
	"$@" </dev/null 2>"$at.stderr" | tee "$at.lines" | awk -F'\t' '
		$1 == "ok" || $1 == "FAIL" || $1 == "skip" { printf "%-4s %-21s %-10s %-44s %6s ms  %s\n", $1, $2, $4, $3, $5, $6; fflush() }'
	code=${PIPESTATUS[0]}
	# Each client says at its end how many lines it has printed: what broke off halfway has not passed.
	awk -F'\t' -v name="$name" -v code="$code" '
		$1 == "ok" || $1 == "FAIL" { n[$2]++; seen[$2] = 1 }
		$1 == "done" { told[$2] = $3; any = 1 }
		END {
			for (c in seen) if (n[c] != told[c] + 0) { printf "FAIL\t%s\tall checks run\t-\t0\t%d lines, and it told of %s\n", c, n[c], told[c]; bad = 1 }
			if ((code != 0 || !any) && !bad) printf "FAIL\t%s\tran to its end\t-\t0\texit %d\n", name, code
		}' "$at.lines" >"$at.broken"
	if [ -s "$at.broken" ]; then
		cat "$at.broken"
		tail -n 30 "$at.stderr"
	fi
}

# The programs, a line each; those that wait most come first.
programs=()
add() { programs+=("$(printf '%q ' "$@")"); }
if [ -n "$js" ]; then
	cp "$here"/js/*.mjs "$js/" || die "cannot copy the checks into $js" # modules are looked for from where a file lies
	into=$js
	node=$(node_22)
fi
for group in "${groups[@]}"; do
	case $group in
	python)
		[ -n "$python" ] || continue
		for suite in batches google responses ollama openai anthropic pydantic_ai langchain litellm ladders recorded; do
			[ -n "$direct" ] && { [ $suite = recorded ] || [ $suite = ladders ] || [ $suite = batches ]; } && continue
			add "python-$suite" "$python/venv/bin/python" "$here/py/${suite}_test.py"
		done
		;;
	go) add go "$work/go-check" ;;
	js | ai | claude-code | codex)
		[ -n "$js" ] || continue
		case $group in
		js) for suite in batches openai anthropic responses google ollama; do [ -n "$direct" ] && [ $suite = batches ] && continue; add "js-$suite" "$node" "$js/${suite}_test.mjs"; done ;;
		ai) add ai "$node" "$js/ai_test.mjs" ;;
		claude-code) add claude-code "$node" "$js/claude_code_test.mjs" "$js/node_modules/.bin/claude" ;;
		codex)
			if why=$(PATH="$(dirname "$node"):$PATH" "$js/node_modules/.bin/codex" --version 2>&1); then
				add codex "$node" "$js/codex_test.mjs" "$js/node_modules/.bin/codex"
			else
				printf 'skip\tcodex\tall checks\t-\t0\tits program does not run here: %s\n' "$(echo "$why" | tail -n 1 | tr '\t' ' ')" | tee "$work/skipped-codex"
			fi
			;;
		esac
		;;
	esac
done
export work PYTHONDONTWRITEBYTECODE=1 PATH="${node:+$(dirname "$node"):}$PATH"
export -f run
[ ${#programs[@]} -eq 0 ] || printf '%s\0' "${programs[@]}" | xargs -0 -P 2 -n 1 bash -c 'eval "run $0"'
cat "$work"/of-*.lines "$work"/of-*.broken "$work"/skipped-* >"$results" 2>/dev/null
if [ -z "$direct" ]; then
	# What no client can see: the gateway has printed no key, and is still there.
	if kill -0 "$headrace" 2>/dev/null; then line="ok	headrace	is still running	-	0	"; else line="FAIL	headrace	is still running	-	0	it ended"; fi
	printf '%s\n' "$line" >>"$results"
	if grep -q -e "$key" -e sk-replay -e 'panic:' "$work/headrace.log"; then line="FAIL	headrace	no secret, no panic in its output	-	0	$(grep -n -m1 -e "$key" -e sk-replay -e 'panic:' "$work/headrace.log" | sed "s/$key/(the key)/")"; else line="ok	headrace	no secret, no panic in its output	-	0	"; fi
	printf '%s\n' "$line" >>"$results"
	tail -n 2 "$results" | awk -F'\t' '{ printf "%-4s %-20s %s  %s\n", $1, $2, $3, $6 }'
fi

# --- summary

echo
awk -F'\t' '
	$1 == "ok" { ok[$2]++; name[$2] = 1; good++ }
	$1 == "FAIL" { bad[$2]++; name[$2] = 1; wrong++ }
	$1 == "skip" { left[$2]++; name[$2] = 1; skipped++ }
	END {
		printf "%-22s %5s %6s %8s\n", "client", "ok", "failed", "skipped"
		for (c in name) printf "%-22s %5d %6d %8d\n", c, ok[c], bad[c], left[c] | "sort"
		close("sort")
		printf "%-22s %5d %6d %8d\n", "all", good, wrong, skipped
	}' "$results"
if grep -q '^FAIL' "$results" || ! grep -q '^ok' "$results"; then
	[ -s "$work/headrace.log" ] && { echo; echo "--- the last lines of headrace:"; tail -n 20 "$work/headrace.log"; }
	exit 1
fi
