#!/bin/sh
# Builds the Kubernetes API server that tests use, from the Go modules that e2e/apiserver names, as
# .cache/apiserver/kube-apiserver. It is built again only if its modules, its source, the version of Go or this file change.
# The first time takes three to eight minutes of two cores, and 2.5 GB of memory.
set -eu
cd "$(dirname "$0")/.."
out=$PWD/.cache/apiserver
mkdir -p "$out"
{ go env GOVERSION GOOS GOARCH; cat build/apiserver.sh e2e/apiserver/go.mod e2e/apiserver/go.sum e2e/apiserver/*.go; } >"$out/wanted.$$"
trap 'rm -f "$out/wanted.$$"' EXIT
if [ -x "$out/kube-apiserver" ] && cmp -s "$out/wanted.$$" "$out/made"; then exit 0; fi
echo "building the API server that tests use; this takes some minutes the first time" >&2
# Not optimised, which halves the time of the build.
CGO_ENABLED=0 GOGC=800 nice go -C e2e/apiserver build -trimpath -buildvcs=false -gcflags='all=-N -l -dwarf=false' -ldflags='-s -w' -o "$out/new.$$" .
mv "$out/new.$$" "$out/kube-apiserver"
mv "$out/wanted.$$" "$out/made"
