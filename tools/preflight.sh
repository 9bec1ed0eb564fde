#!/bin/sh
# Prints the Python to build with, having made sure that it can: venv, Python.h, g++ and its C++ headers.
# What is missing is installed when we are root on a Debian; otherwise the line to type is printed and we fail.
# cppyy *aborts* without C++ headers (no exception, a stack trace), so this comes before anything of it runs.
set -eu

# PYTHON=... names one candidate; a shim that is on the PATH but does not run fails here like an absent one.
candidates=${PYTHON:-python3.11 python3.12 python3.13 /usr/bin/python3 python3}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

is_whole() {
    "$1" -c 'import ensurepip, os, sys, sysconfig, venv
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' >/dev/null 2>&1
}

find_python() {
    for candidate in $candidates; do
        is_recent "$candidate" && is_whole "$candidate" && command -v "$candidate" && return
    done
    return 1
}

compiles() {
    echo '#include <vector>' | g++ -std=c++17 -fsyntax-only -x c++ - >/dev/null 2>&1
}

missing() {
    compiles || echo g++
    # The version's own packages (python3.11-dev), so that a second Debian Python is served as well.
    find_python >/dev/null && return
    for candidate in $candidates; do
        is_recent "$candidate" || continue
        case $(command -v "$candidate") in /usr/bin/*)
            "$candidate" -c 'import sys; v = "python3.%d" % sys.version_info[1]; print(v + "-venv", v + "-dev")'
            return ;;
        esac
    done
    echo python3 python3-venv python3-dev
}

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ]; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "installing from Debian: $packages" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q >&2 </dev/null
        # shellcheck disable=SC2086 # a list of words
        apt-get install -y -q --no-install-recommends $packages >&2 </dev/null
    else
        echo "Stevie needs Python 3.11 or newer with venv and headers, and g++ with the C++ headers. Install them:" >&2
        echo "    sudo apt-get install --no-install-recommends $packages" >&2
        exit 1
    fi
fi
compiles || { echo "g++ still cannot compile #include <vector>: see g++ -v" >&2; exit 1; }
find_python || { echo "no usable Python 3.11 or newer among: $candidates" >&2; exit 1; }
