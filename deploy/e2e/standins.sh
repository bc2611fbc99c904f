#!/bin/bash
# Makes the root file system of a stand-in image out of Debian packages.
#   standins.sh KIND SUITE FILE      KIND: python, redis, prometheus, clean; SUITE: bookworm (Debian 12), trixie (13)
# Inside they trust the certificates that this machine trusts, and pip asks the index that it asks here: both are
# read from this machine, so nothing about it stands in the project.
set -euo pipefail
kind=$1 suite=$2 file=$3
export LC_ALL=C.UTF-8

work=$(mktemp -d)
trap 'rm -rf "$work"; rm -f "$file.part"' EXIT

# The mirror that apt uses here; some machines name a file with a list of mirrors instead.
mirror=${DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
    # shellcheck disable=SC2016  # apt's own notation
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian Debian main //p' | sed -n 1p)
    case $mirror in
        mirror+file:*) mirror=$(sed -n '/^https\{0,1\}:/{s/[[:space:]].*//p;q}' "${mirror#mirror+file:}") ;;
    esac
fi
[ -n "$mirror" ] || { echo "apt names no Debian mirror here: apt-get update, or DEBIAN_MIRROR=URL" >&2; exit 1; }

certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
hooks=() packages=ca-certificates
if [ -f "$certificates" ]; then
    hooks+=(--customize-hook="upload '$certificates' /etc/ssl/certs/ca-certificates.crt")
fi

# An index on this machine's own disk means nothing inside.
pip_option() { # NAME PATTERN
    local variable=PIP_${1^^} value
    variable=${variable//-/_}
    value=${!variable:-$(python3 -m pip config get "global.$1" 2>/dev/null || true)}
    value=$(tr -s '[:space:]' '\n' <<<"$value" | grep -E "$2" | paste -sd ' ') || return 0
    echo "$1 = $value"
}

# In single quotes, because mmdebstrap gives the new root as $1.
# shellcheck disable=SC2016
case $kind in
    python)
        packages+=,python3,python3-venv,python3-pip
        {
            echo "[global]"
            echo "cert = /etc/ssl/certs/ca-certificates.crt"
            pip_option index-url '^https?:'
            pip_option extra-index-url '^https?:'
            pip_option trusted-host .
        } >"$work/pip.conf"
        hooks+=(--customize-hook="upload '$work/pip.conf' /etc/pip.conf")
        hooks+=(--customize-hook='ln -sf python3 "$1/usr/bin/python"; rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED')
        ;;
    redis)
        packages+=,redis-server
        # Like the real image's: options alone mean the server, and root gives itself up.
        cat >"$work/entrypoint" <<'EOS'
#!/bin/sh
set -e
case "$1" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ]; then
    shift
    set -- redis-server --protected-mode no "$@"
    if [ "$(id -u)" = 0 ]; then
        chown -R redis: /data
        set -- setpriv --reuid=redis --regid=redis --clear-groups "$@"
    fi
fi
exec "$@"
EOS
        hooks+=(--customize-hook="upload '$work/entrypoint' /usr/local/bin/docker-entrypoint.sh")
        hooks+=(--customize-hook='chmod 755 "$1/usr/local/bin/docker-entrypoint.sh"; mkdir -p "$1/data"')
        ;;
    prometheus)
        packages+=,prometheus,busybox
        # The real image's folder and user, and the wget that its health check asks with.
        hooks+=(--customize-hook='install -d -o 65534 -g 65534 "$1/prometheus"; ln -s busybox "$1/usr/bin/wget"')
        ;;
    clean) packages+=,systemd-sysv,dbus,openssh-server,python3,python3-apt,iproute2,procps,sudo ;;
    *) echo "no such kind: $kind" >&2; exit 1 ;;
esac

mmdebstrap --quiet --variant=minbase --include="$packages" --format=tar --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "${hooks[@]}" "$suite" "$file.part" "$mirror"
mv "$file.part" "$file"
