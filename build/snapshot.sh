#!/bin/sh
# Makes everything that a release is made of below dist, from the work tree as it is, and publishes nothing:
#
#   build/snapshot.sh GORELEASER [FLAG...]
#
# It expects cyclonedx-gomod on the path. Two builds at a time, since each needs up to a gigabyte.
#
# Images are left out, and the reason is said, where they cannot be built for both architectures: that takes a Docker daemon,
# its plug-in buildx, and a registry that has Envoy's image. 'make image' builds them for this machine without all that.
set -eu
cd "$(dirname "$0")/.."
goreleaser=$1
shift

# images says what is missing, or nothing.
images() {
    command -v docker >/dev/null || { echo "docker is missing"; return; }
    docker buildx version >/dev/null 2>&1 || { echo "Docker's plug-in buildx is missing"; return; }
    docker info >/dev/null 2>&1 || { echo "no Docker daemon runs"; return; }
    image=${ENVOY_IMAGE:-envoyproxy/envoy:v1.39.3}
    timeout 60 docker buildx imagetools inspect "$image" >/dev/null 2>&1 || echo "$image cannot be pulled"
}

skip=publish
missing=$(images)
if [ -n "$missing" ]; then
    echo "The images are left out: $missing." >&2
    skip=$skip,docker
fi
# Without a remote, goreleaser knows neither commit nor tag. It asks this one nothing.
if [ -z "$(git remote)" ]; then
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://example.invalid/waymark/waymark.git
fi
"$goreleaser" release --snapshot --clean --parallelism 2 --skip="$skip" "$@"

# What was made is what the configuration promises.
cd dist
for file in *_linux_amd64.tar.gz *_linux_arm64.tar.gz *_darwin_amd64.tar.gz *_darwin_arm64.tar.gz *_windows_amd64.zip *_windows_arm64.zip \
    *_linux_amd64.deb *_linux_arm64.deb *_linux_amd64.rpm *_linux_arm64.rpm *_linux_amd64.apk *_linux_arm64.apk \
    *_linux_amd64.cdx.json *_linux_arm64.cdx.json *_darwin_amd64.cdx.json *_darwin_arm64.cdx.json *_windows_amd64.cdx.json *_windows_arm64.cdx.json; do
    [ -s "$file" ] || { echo "dist has no $file" >&2; exit 1; }
    grep -qF "  $file" checksums.txt || { echo "checksums.txt does not name $file" >&2; exit 1; }
done
for module in waymark waymark-small; do
    grep -q "  ${module}_.*\.wasm$" checksums.txt || { echo "checksums.txt does not name the module $module" >&2; exit 1; }
done
sha256sum --quiet -c --ignore-missing checksums.txt
