#!/bin/sh
# usage: tools/install.sh [dev|bench]      Makes .venv exactly what the locks say; silent and instant when it already is.
#
# The stamps are written last: without them the next run begins anew, so an interrupted run leaves nothing
# half-installed behind. They hold what the content depends on: the locks, and the directory (scripts name it).
set -eu
cd "$(dirname "$0")/.."
want=${1:-}
root=$(pwd -P)
bin=$root/.venv/bin
# An activated .venv must not be the Python that its own successor is made with.
PATH=$(printf %s "$PATH" | sed "s|$root/.venv/bin:||g")

# One installer at a time; whoever waited then finds the work done.
exec 9<setup.cfg
flock 9

key() { { echo "$root"; cat "$@"; } | sha256sum | cut -d' ' -f1; }
has() { [ "$(cat ".venv/$1.stamp" 2>/dev/null)" = "$2" ]; }
stamp() { echo "$2" >".venv/$1.stamp.new"; mv ".venv/$1.stamp.new" ".venv/$1.stamp"; }
say() { echo "stevie: $*" >&2; }
pip() {
    "$bin/python" -m pip --disable-pip-version-check --no-input "$@" </dev/null
}
locked() { pip install --quiet --require-hashes --no-deps --no-build-isolation -r "$1"; }

# The lock's entries of the packages named, with their hashes. pip names the directory of CPyCppyy's headers as
# the requirement is spelled; cppyy looks for it in the spelling that locks do not keep, and warns.
entries() {
    awk -v names=" $* " '/^[a-z]/ { split($1, part, "=="); on = index(names, " " part[1] " ") } on' requirements.lock |
        sed 's/^cpycppyy==/CPyCppyy==/'
}

runtime=$(key requirements.lock)
dev=$(key requirements.lock requirements-dev.lock)
bench=$(key requirements.lock requirements-dev.lock requirements-bench.lock)
package=$(key setup.cfg pyproject.toml)

if ! has runtime "$runtime" || ! "$bin/python" -I -S -c '' 2>/dev/null; then
    python=$(tools/preflight.sh)
    say "making .venv with $("$python" --version) ($python)"
    rm -rf .venv
    "$python" -m venv .venv
    # Without pip's build isolation, which would fetch compilers' helpers that no hash covers and compile
    # cppyy-backend twice. Each of these three builds against the one before, hence the order.
    say "compiling cppyy, about two minutes, once; cached after"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    for stage in pip "setuptools wheel cppyy-cling" cppyy-backend cpycppyy; do
        # shellcheck disable=SC2086 # a list of words
        entries $stage >"$work/stage.txt"
        locked "$work/stage.txt"
    done
    say "installing the packages of requirements.lock"
    locked requirements.lock
    # The first import may still have to write cppyy's precompiled header into site-packages.
    "$bin/python" -W error -c 'import cppyy; cppyy.cppdef("int stevie_probe() { return 1; }")'
    stamp runtime "$runtime"
fi

if [ -n "$want" ] && ! has dev "$dev"; then
    say "installing the tools of requirements-dev.lock"
    locked requirements-dev.lock
    stamp dev "$dev"
fi

if [ "$want" = bench ] && ! has bench "$bench"; then
    say "installing the peers of requirements-bench.lock"
    locked requirements-bench.lock
    stamp bench "$bench"
fi

if ! has package "$package" || [ ! -x "$bin/stevie" ]; then
    pip install --quiet --no-deps --no-build-isolation --editable .
    stamp package "$package"
fi
