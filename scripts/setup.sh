#!/bin/sh
# Makes .venv with driftline in it. PYTHON=/path/to/python3 chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

say() { printf '%s\n' "setup: $*"; }
fail() {
    printf '%s\n' "setup: $*" >&2
    exit 1
}

# Whether this starts (a pyenv shim may not) and is of a version in [3.11, $2).
fits() {
    "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, $2))" >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" 99 || fail "PYTHON=$PYTHON is not a Python 3.11 or newer that starts"
        echo "$PYTHON"
        return
    fi
    # First those it is tested with, then newer ones.
    for below in 14 99; do
        for candidate in python3 python3.13 python3.12 python3.11; do
            if fits "$candidate" "$below"; then
                echo "$candidate"
                return
            fi
        done
    done
    fail "no Python 3.11 or newer found. If you have one: make setup PYTHON=/path/to/python3"
}

make_venv() {
    if "$1" -m venv --clear .venv >.venv.log 2>&1; then
        rm -f .venv.log
        return
    fi
    if grep -q ensurepip .venv.log && can_apt; then
        say "installing python3-venv, which Debian keeps apart from Python"
        apt_install python3-venv
        "$1" -m venv --clear .venv >.venv.log 2>&1 && rm -f .venv.log && return
    fi
    cat .venv.log >&2
    rm -rf .venv .venv.log
    fail "Python's venv module does not work here. On Debian and Ubuntu: sudo apt-get install -y python3-venv"
}

if ! fits .venv/bin/python 99; then
    python=$(find_python)
    say "making .venv with $("$python" --version)"
    make_venv "$python"
fi

say "installing packages; a minute or two the first time, seconds later"
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --quiet"
$pip --require-hashes -r requirements/uv.txt || fail "pip cannot install packages; see above"
# uv is much faster, but does not read pip's settings: where only those know the way (a mirror, a proxy), pip goes.
# Compiled now, so that the first start is as quick as any other.
.venv/bin/uv pip sync --quiet --python .venv/bin/python --compile-bytecode --require-hashes \
    requirements/dev.txt requirements/uv.txt ||
    { say "uv did not succeed, trying pip" && $pip --require-hashes -r requirements/dev.txt; } ||
    fail "the packages cannot be installed; see above"
$pip --no-deps --no-build-isolation --editable . || fail "driftline itself cannot be installed; see above"
.venv/bin/python -m compileall -q src
say "done: .venv/bin/$(.venv/bin/driftline --version)"
