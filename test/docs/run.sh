#!/bin/sh
# Runs every shell block of the documentation against a program that is built from this tree, and says which are not run.
set -eu
cd "$(dirname "$0")/../.."
HEADRACE_FULL=1 go test -count=1 -v -timeout 20m ./test/docs | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'
