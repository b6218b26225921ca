#!/usr/bin/env bash
# Attacks: attack.sh MINUTES
#
# Half of the time, nasty requests of new seeds go to decide, the embedded data plane and real Envoys, which must agree; the
# other half, the fuzzers go on from where they ended.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=$1
end=$((SECONDS + minutes * 30))
seed=${WAYMARK_SEED:-$(date +%s)}
test=$(mktemp -d)
trap 'rm -rf "$test"' EXIT
go -C e2e test -c -o "$test/e2e.test" ./envoy
while [ $SECONDS -lt $end ]; do
    echo "nasty requests of seed $seed"
    (cd e2e/envoy && WAYMARK_SEED=$seed "$test/e2e.test" -test.run 'TestNastyRequests$') || {
        echo "repeat it with: WAYMARK_SEED=$seed go -C e2e test ./envoy -run TestNastyRequests" >&2
        exit 1
    }
    seed=$((seed + 1))
done
targets=(./gateway:FuzzRead ./hostcalls:FuzzParsePairs ./routing:FuzzCompile ./routing:FuzzDecide ./routing/regex:FuzzMatch ./e2e/plain:FuzzDecide)
build/fuzz.sh "$((minutes * 30 / ${#targets[@]}))s" "${targets[@]}"
