#!/usr/bin/env bash
# Fuzzes: fuzz.sh TIME PACKAGE:TARGET...
#
# What is new and interesting is kept in .cache/fuzz/TARGET, from where the next run goes on: a CI that keeps .cache keeps
# it. Targets of one name share it. What fails is written to PACKAGE/testdata/fuzz/TARGET, where go test finds it.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for f in "$@"; do
    echo "go test ${f%%:*} -fuzz ${f##*:}, for $time"
    # -C, since one of the packages is in another module.
    go -C "${f%%:*}" test -run '^$' -fuzz "^${f##*:}\$" -fuzztime "$time" -fuzzminimizetime 10x -test.fuzzcachedir="$PWD/.cache/fuzz" 2>&1 | tee "$log" && continue
    # Go before 1.27 now and then takes the end of the time for a failure (golang/go#75804): one without an input.
    if grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input written' "$log"; then
        echo "The time is up; nothing failed."
        continue
    fi
    exit 1
done
