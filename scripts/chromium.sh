#!/bin/sh
# Sees to it that there is a Chromium for the tests that open the report in a browser.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

for browser in chromium chromium-browser google-chrome; do
    if command -v "$browser" >/dev/null; then
        exit 0
    fi
done
if can_apt; then
    echo "chromium: installing it for the browser test"
    apt_install chromium && exit 0
fi
echo "chromium: none here, so the browser test cannot pass. Debian: sudo apt-get install -y chromium" >&2
