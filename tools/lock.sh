#!/bin/sh
# Writes both locks from setup.cfg. Needs uv (pip install uv) and the network; nothing else here does.
# Universal: one lock serves every Python from 3.11 on. Pins that still fit are kept; `make lock UPGRADE=1` renews them.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv" >&2; exit 1; }
upgrade=${UPGRADE:+--upgrade}
export UV_CUSTOM_COMPILE_COMMAND="make lock"
compile() {
    uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
        --no-emit-package stevie $upgrade setup.cfg "$@"
}
compile --extra build --output-file requirements.lock
compile --extra build --extra dev --constraint requirements.lock --output-file requirements-dev.lock
