#!/bin/sh
# Writes the lock files from pyproject.toml; versions stay as they are unless one must change or --upgrade is given.
set -eu
cd "$(dirname "$0")/.."

lock() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header --no-annotate "$@"
}

# The first decides the versions, the others take theirs from it.
lock pyproject.toml --extra report --extra load --group dev --group deploy --group models -o requirements/dev.txt "$@"
lock pyproject.toml --group dev -c requirements/dev.txt -o requirements/core.txt
lock pyproject.toml --extra report -c requirements/dev.txt -o requirements/report.txt
lock pyproject.toml --extra load -c requirements/dev.txt -o requirements/load.txt
lock pyproject.toml -c requirements/dev.txt -o requirements/driftline.txt
lock requirements/build.in -c requirements/dev.txt -o requirements/build.txt
lock requirements/bench-drift.in -c requirements/dev.txt -o requirements/bench-drift.txt "$@"
lock requirements/bench-drift-tables.in --no-deps -o requirements/bench-drift-tables.txt "$@"
for peer in bentoml fastapi litserve mlserver ray; do
    lock "requirements/bench-$peer.in" -o "requirements/bench-$peer.txt" "$@"
done
lock pyproject.toml --extra sklearn --extra mlflow --group models requirements/interop.in -o requirements/interop.txt "$@"
lock requirements/interop-mlserver.in -o requirements/interop-mlserver.txt "$@"
lock requirements/uv.in -o requirements/uv.txt "$@"
lock requirements/valkey.in -o requirements/valkey.txt "$@"
lock requirements/audit.in -o requirements/audit.txt "$@"
lock requirements/ansible.in -o requirements/ansible.txt "$@"
grep -c == requirements/*.txt
