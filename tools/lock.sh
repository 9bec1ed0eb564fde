#!/bin/sh
# Writes the locks from setup.cfg. Needs uv (pip install uv) and the network; nothing else here does.
# For Linux, where Stevie runs, and any Python from 3.11 on. Pins that still fit are kept; `make lock UPGRADE=1` renews them.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv" >&2; exit 1; }
upgrade=${UPGRADE:+--upgrade}
export UV_CUSTOM_COMPILE_COMMAND="make lock"
compile() {
    uv pip compile --quiet --no-config --python-version 3.11 --generate-hashes \
        --no-emit-package stevie $upgrade setup.cfg "$@"
}
compile --universal --extra build --output-file requirements.lock
# Not universal: ccxt pins a pycparser that gevent's on Windows does not take.
compile --python-platform linux --extra build --extra dev --constraint requirements.lock \
    --output-file requirements-dev.lock
compile --python-platform linux --extra bench --constraint requirements-dev.lock \
    --output-file requirements-bench.lock
