#!/bin/sh
# Brings the road of build/docker-compose.yaml up or down.
#
#   build/docker.sh up      needs 'make build'; listens on 127.0.0.1:18080 (WAYMARK_PORT)
#   build/docker.sh down
#   build/docker.sh able   says in one sentence what is missing
#
# ENVOY_IMAGE names another Envoy. Where the image cannot be pulled, one is made of the pinned Envoy that 'make envoy'
# installs and the libraries that it loads. Where no Docker daemon runs and we may, one is started, and ended again.
set -eu
cd "$(dirname "$0")/.."
state=$PWD/.cache/docker
version=1.39.3
export ENVOY_IMAGE="${ENVOY_IMAGE:-envoyproxy/envoy:v$version}"
export WAYMARK_ROAD="$state/road"
export DOCKER_BUILDKIT=0
local_image=waymark-envoy:$version

# compose is Docker's plug-in or the program of its own, whichever is there.
compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose -p waymark -f build/docker-compose.yaml "$@"
    else
        command -v docker-compose >/dev/null || { echo "docker-compose is missing: the road in containers needs it" >&2; exit 1; }
        docker-compose -p waymark -f build/docker-compose.yaml "$@"
    fi
}

daemon() {
    docker info >/dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] && command -v dockerd >/dev/null || { echo "no Docker daemon runs, and none can be started" >&2; exit 1; }
    mkdir -p "$state"
    dockerd --storage-driver=vfs --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/dockerd.pid" >"$state/dockerd.log" 2>&1 &
    for _ in $(seq 100); do docker info >/dev/null 2>&1 && return; sleep 0.2; done
    tail -n 20 "$state/dockerd.log" >&2
    echo "the Docker daemon does not start" >&2
    exit 1
}

# from_scratch TAG PROGRAM NAME: an image of one program and the libraries it loads.
from_scratch() {
    context=$state/image
    rm -rf "$context"
    mkdir -p "$context/root/usr/local/bin" "$context/root/tmp" "$context/root/etc"
    cp -L "$2" "$context/root/usr/local/bin/$3"
    { ldd "$2" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$context/root$(dirname "$library")"
        cp -L "$library" "$context/root$library"
    done
    printf 'FROM scratch\nCOPY root /\nENTRYPOINT ["/usr/local/bin/%s"]\n' "$3" >"$context/Dockerfile"
    docker build -q -t "$1" "$context" >/dev/null
    rm -rf "$context"
}

up() {
    daemon
    mkdir -p "$WAYMARK_ROAD"
    CGO_ENABLED=0 go build -o "$state/standin" ./e2e/internal/standin
    from_scratch waymark-standin "$state/standin" standin
    if ! docker image inspect "$ENVOY_IMAGE" >/dev/null 2>&1 && ! timeout 60 docker pull -q "$ENVOY_IMAGE" >/dev/null 2>&1; then
        echo "$ENVOY_IMAGE cannot be pulled; an image is made of the pinned Envoy" >&2
        from_scratch $local_image .cache/envoy/$version/envoy envoy
        export ENVOY_IMAGE=$local_image
    fi
    cp bin/waymark.wasm "$WAYMARK_ROAD/"
    bin/waymark translate -f examples/bookinfo --module /etc/envoy/waymark.wasm \
        --endpoint productpage=productpage:9080,details=details:9080,ratings=ratings:9080 \
        --endpoint v1.reviews=reviews-v1:9080,v2.reviews=reviews-v2:9080,v3.reviews=reviews-v3:9080 >"$WAYMARK_ROAD/bootstrap.json"
    chmod -R a+rX "$WAYMARK_ROAD"
    compose up -d
}

down() {
    compose down -t 2 -v || true
    if [ -f "$state/dockerd.pid" ]; then
        pid=$(cat "$state/dockerd.pid")
        # The number may be another program's by now, where the machine was switched off meanwhile.
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    fi
}

able() {
    for program in docker dockerd iptables; do
        docker info >/dev/null 2>&1 && break
        command -v "$program" >/dev/null || { echo "The test of the road in containers is left out: $program is missing (.ci/run installs it)." >&2; return 1; }
    done
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null ||
        { echo "The test of the road in containers is left out: docker-compose is missing (.ci/run installs it)." >&2; return 1; }
    docker info >/dev/null 2>&1 || [ "$(id -u)" = 0 ] ||
        { echo "The test of the road in containers is left out: no Docker daemon runs, and only root can start one." >&2; return 1; }
}

case "${1:-}" in
able) able ;;
up) up ;;
down) down ;;
logs) compose logs --no-color ;;
*) echo "usage: build/docker.sh up|down|logs|able" >&2; exit 64 ;;
esac
