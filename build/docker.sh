#!/bin/sh
# Builds the images, and brings the test services in containers up or down.
#
#   build/docker.sh image      builds waymark, waymark-plugin, waymark-plugin:small and waymark-standin; needs 'make build'
#   build/docker.sh up         brings build/docker-compose.yaml up, a stock Envoy, on 127.0.0.1:18080 (WAYMARK_PORT)
#   build/docker.sh up FILE    brings another compose file up, such as examples/docker-compose/docker-compose.yaml
#   build/docker.sh logs|down [FILE]
#   build/docker.sh stop       ends the Docker daemon that was started here
#   build/docker.sh able       says in one sentence what is missing
#
# ENVOY_IMAGE names another Envoy. Where the image cannot be pulled, one is made of the pinned Envoy that 'make envoy'
# installs and the libraries that it loads. Where no Docker daemon runs and we may, one is started; 'down' and 'stop' end it.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
state=$(cd .cache && pwd -P)/docker # the daemon takes no symbolic link
version=1.39.3
export ENVOY_IMAGE="${ENVOY_IMAGE:-envoyproxy/envoy:v$version}"
export WAYMARK_FILES="$state/road"
export DOCKER_BUILDKIT=0
local_image=waymark-envoy:$version
file=${2:-build/docker-compose.yaml}

compose() { build/compose.sh -p waymark -f "$file" "$@"; }

daemon() {
    docker info >/dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] && command -v dockerd >/dev/null || { echo "no Docker daemon runs, and none can be started" >&2; exit 1; }
    mkdir -p "$state"
    dockerd --storage-driver=vfs --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/dockerd.pid" >"$state/dockerd.log" 2>&1 &
    for _ in $(seq 100); do
        if docker info >/dev/null 2>&1; then
            echo "no Docker daemon was running, so one was started; 'build/docker.sh stop' ends it" >&2
            return
        fi
        sleep 0.2
    done
    tail -n 20 "$state/dockerd.log" >&2
    echo "the Docker daemon does not start" >&2
    exit 1
}

# from_scratch TAG PROGRAM NAME: an image of one program and the libraries it loads.
from_scratch() {
    context=$state/image
    rm -rf "$context"
    mkdir -p "$context/root/usr/local/bin" "$context/root/tmp" "$context/root/etc"
    chmod 1777 "$context/root/tmp"
    cp -L "$2" "$context/root/usr/local/bin/$3"
    { ldd "$2" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$context/root$(dirname "$library")"
        cp -L "$library" "$context/root$library"
    done
    printf 'FROM scratch\nCOPY root /\nUSER 65532:65532\nENTRYPOINT ["/usr/local/bin/%s"]\n' "$3" >"$context/Dockerfile"
    docker build -q -t "$1" "$context" >/dev/null
    rm -rf "$context"
}

# envoy_image makes an image of the pinned Envoy where the one that is asked for cannot be had.
envoy_image() {
    docker image inspect "$ENVOY_IMAGE" >/dev/null 2>&1 && return
    timeout 60 docker pull -q "$ENVOY_IMAGE" >/dev/null 2>&1 && return
    echo "$ENVOY_IMAGE cannot be pulled; an image is made of the pinned Envoy" >&2
    [ -x .cache/envoy/$version/envoy ] || { echo "the pinned Envoy $version is not installed: run 'make envoy'" >&2; exit 1; }
    from_scratch $local_image .cache/envoy/$version/envoy envoy
    export ENVOY_IMAGE=$local_image
}

standin_image() {
    CGO_ENABLED=0 go -C e2e build -o "$state/standin" ./internal/standin
    from_scratch waymark-standin "$state/standin" standin
}

image() {
    daemon
    mkdir -p "$state"
    standin_image
    envoy_image
    docker build -q -t waymark-plugin --target plugin -f build/Dockerfile bin >/dev/null
    docker build -q -t waymark-plugin:small --target plugin --build-arg MODULE=waymark-small.wasm -f build/Dockerfile bin >/dev/null
    docker build -q -t waymark --target waymark --build-arg "ENVOY_IMAGE=$ENVOY_IMAGE" -f build/Dockerfile bin >/dev/null
}

up() {
    if [ "$file" != build/docker-compose.yaml ]; then
        image
        compose up -d
        return
    fi
    daemon
    mkdir -p "$WAYMARK_FILES"
    standin_image
    envoy_image
    cp bin/waymark.wasm "$WAYMARK_FILES/"
    bin/waymark translate -f examples/bookinfo --module /etc/envoy/waymark.wasm \
        --endpoint productpage=productpage:9080,details=details:9080,ratings=ratings:9080 \
        --endpoint v1.reviews=reviews-v1:9080,v2.reviews=reviews-v2:9080,v3.reviews=reviews-v3:9080 >"$WAYMARK_FILES/bootstrap.json"
    chmod -R a+rX "$WAYMARK_FILES"
    compose up -d
}

down() {
    compose down -t 2 -v || true
    stop
}

stop() {
    [ -f "$state/dockerd.pid" ] || return 0
    pid=$(cat "$state/dockerd.pid")
    # The number may be another program's by now, where the machine was switched off meanwhile.
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
}

able() {
    for program in docker dockerd iptables; do
        docker info >/dev/null 2>&1 && break
        command -v "$program" >/dev/null || { echo "The test in containers is left out: $program is missing (.ci/run installs it)." >&2; return 1; }
    done
    build/compose.sh version >/dev/null 2>&1 ||
        { echo "The test in containers is left out: there is neither 'docker compose' nor 'docker-compose' (.ci/run installs it)." >&2; return 1; }
    docker info >/dev/null 2>&1 || [ "$(id -u)" = 0 ] ||
        { echo "The test in containers is left out: no Docker daemon runs, and only root can start one." >&2; return 1; }
}

case "${1:-}" in
able) able ;;
image) image ;;
up) up ;;
down) down ;;
stop) stop ;;
logs) compose logs --no-color ;;
*) echo "usage: build/docker.sh image|up|down|logs|stop|able" >&2; exit 64 ;;
esac
