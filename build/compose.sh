#!/bin/sh
# Runs Compose with the arguments: Docker's plug-in 'docker compose' or the program 'docker-compose', whichever is there.
set -eu
if docker compose version >/dev/null 2>&1; then
    exec docker compose "$@"
elif command -v docker-compose >/dev/null; then
    exec docker-compose "$@"
fi
echo "Compose is missing: there is neither 'docker compose' nor 'docker-compose'" >&2
exit 1
