# Sourced by the others: installing what Debian lacks, when we are root and may.

can_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# Installs packages quietly, without starting services of theirs; shows what apt said only if it fails.
apt_install() (
    log=$(mktemp)
    policy=/usr/sbin/policy-rc.d
    trap 'rm -f "$log" ${policy:+"$policy"}' EXIT
    trap 'exit 130' INT TERM
    if [ -e "$policy" ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    apt-get update -qq >"$log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1 &&
        exit 0
    cat "$log" >&2
    exit 1
)
