#!/usr/bin/env bash
# Looks at the dashboard in Debian's Chromium: every page in light, dark and phone width, every write, keyboard, hostile
# texts, axe-core. Installs the browser where it may. Arguments go to go test: -update makes the pictures of docs/images,
# -run TestPages runs one.
set -u
cd "$(dirname "$0")/../.." || exit 2
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing chromium"
		apt-get install -y -q --no-install-recommends chromium fonts-liberation >/dev/null ||
			{ apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends chromium fonts-liberation >/dev/null; }
	fi
	command -v chromium >/dev/null || { echo "skipped: no Chromium; apt-get install chromium" && exit 0; }
fi
HEADRACE_BROWSER=1 exec go test -count=1 -timeout 5m ./test/browser "$@"
