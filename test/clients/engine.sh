#!/usr/bin/env bash
# A real engine as upstream: llama.cpp's server, built as PyPI's xllamacpp ships it, with a tiny model of random weights
# that engine/model.py writes. Through every client dialect its words, tokens and vectors must be those that it gives
# itself (engine/check.py). Where the engine cannot be installed it says why, and skips.
#
# HEADRACE_BIN        a headrace that is built already
# HEADRACE_CLIENTS    where the engine is installed (default: ~/.cache/headrace/clients)
# Needs Go, Python 3.10 or newer with venv, and curl.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 2
root=$(cd "$here/../.." && pwd) || exit 2
cache=${HEADRACE_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/headrace/clients}
work=$(mktemp -d) || exit 2
pids=()

stop() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM
die() {
	echo "engine.sh: $*" >&2
	tail -n 30 "$work"/*.log >&2
	exit 2
}

sum() { cat "$@" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-12; }
into=$cache/engine-$(python3 -V | sum - "$here/engine/requirements.txt")
python=$into/venv/bin/python
if [ ! -e "$into/.done" ]; then
	echo "installing llama.cpp into $into"
	rm -rf "$into" && mkdir -p "$into" || die "cannot make $into"
	if ! { python3 -m venv "$into/venv" && "$into/venv/bin/pip" install --require-hashes --only-binary :all: -r "$here/engine/requirements.txt"; } >"$work/install.log" 2>&1; then
		echo "skipped: llama.cpp cannot be installed: $(grep -v '^ *$' "$work/install.log" | tail -n 2 | tr '\n' ' ' | cut -c 1-300)"
		exit 0
	fi
	touch "$into/.done"
fi
if ! "$python" -c 'import gguf, xllamacpp' >"$work/import.log" 2>&1; then
	echo "skipped: llama.cpp does not run here: $(tail -n 1 "$work/import.log")"
	exit 0
fi
if [ -n "${HEADRACE_BIN:-}" ]; then
	cp "$HEADRACE_BIN" "$work/headrace" || die "HEADRACE_BIN: $HEADRACE_BIN"
else
	(cd "$root" && CGO_ENABLED=0 go build -o "$work/headrace" ./cmd/headrace) || die "headrace does not build"
fi

"$python" "$here/engine/model.py" "$work/tiny.gguf" || die "the model cannot be written"
mkfifo "$work/open" || exit 2
exec 9<>"$work/open" # the engines serve until their input ends
for kind in chat embeddings; do
	"$python" "$here/engine/serve.py" "$work/tiny.gguf" $kind <"$work/open" >"$work/$kind.url" 2>"$work/$kind.log" &
	pids+=($!)
done
for kind in chat embeddings; do
	for _ in $(seq 600); do [ -s "$work/$kind.url" ] && break; sleep 0.1; done
	[ -s "$work/$kind.url" ] || die "the engine for $kind does not start"
done
ENGINE_CHAT=$(cat "$work/chat.url") ENGINE_EMBED=$(cat "$work/embeddings.url")
ENGINE_KEY=client-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
ENGINE_BASE=http://127.0.0.1:$port
cat >"$work/headrace.yaml" <<YAML
providers:
  engine: {dialect: openai, auth: none, base_url: $ENGINE_CHAT/v1}
  vectors: {dialect: openai, auth: none, base_url: $ENGINE_EMBED/v1}
YAML
mkdir -p "$work/home" "$work/data"
env -i PATH="$PATH" HOME="$work/home" HEADRACE_KEY="$ENGINE_KEY" OLLAMA_HOST=127.0.0.1:1 \
	"$work/headrace" serve --config "$work/headrace.yaml" --listen "127.0.0.1:$port" --data "$work/data" >"$work/headrace.log" 2>&1 &
headrace=$!
pids+=("$headrace")
for _ in $(seq 200); do
	[ "$(curl -s -o /dev/null -w '%{http_code}' -I "$ENGINE_BASE/api/hello")" = 200 ] && break
	kill -0 "$headrace" 2>/dev/null || die "headrace ended"
	sleep 0.05
done
export ENGINE_BASE ENGINE_KEY ENGINE_CHAT ENGINE_EMBED
if ! "$python" "$here/engine/check.py"; then
	echo "--- the last lines of headrace:"
	tail -n 20 "$work/headrace.log"
	exit 1
fi
