"""The kernel built with the address and undefined-behavior sanitizers, behind its usual face.

ctypes calls it, since cling and the sanitizers do not share a process: for each method of the core
that the header declares, a plain function is generated and compiled along.
"""

import ctypes
import functools
import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple, cast

from stevie.adapters.kernel import SOURCES, NativeCore
from stevie.domain.market.core import BookCore, CoreSpec

HEADER, SOURCE = SOURCES
SANITIZERS = "address,undefined"
FLAGS = (
    *("-std=c++17", "-O1", "-g", "-ffp-contract=off", "-fPIC", "-shared"),
    *("-fno-omit-frame-pointer", f"-fsanitize={SANITIZERS}", f"-fno-sanitize-recover={SANITIZERS}"),
    '-DSTEVIE_SOURCE_HASH="sanitized"',
)
COMPILE_S = 300

METHOD = re.compile(r"PyObject\* (\w+)\(([^)]*)\) noexcept;")
KINDS = {"PyObject*": ctypes.py_object, "int64_t": ctypes.c_int64, "Core&": ctypes.c_void_p}


class Method(NamedTuple):
    """A method of the core: its name, and its parameters as (type, name)."""

    name: str
    parameters: tuple[tuple[str, str], ...]

    def as_function(self) -> str:
        """The same as a function of a pointer to the core."""
        typed = "".join(f", {kind} {name}" for kind, name in self.parameters)
        names = ", ".join(name for _, name in self.parameters)
        head = f"PyObject* core_{self.name}(Core* core{typed})"
        return f"{head} {{ return core->{self.name}({names}); }}\n"


def methods() -> list[Method]:
    """Those that the header declares."""
    declared = HEADER.read_text(encoding="utf-8").partition("class Core {")[2]
    return [Method(name, tuple(_parameters(told))) for name, told in METHOD.findall(declared)]


def _parameters(told: str) -> list[tuple[str, str]]:
    pairs = [part.strip().rpartition(" ") for part in told.split(",") if part.strip()]
    return [(kind, name) for kind, _, name in pairs]


def build(directory: Path) -> Path:
    """Compile the kernel as it is and return the library."""
    harness, library = directory / "harness.cpp", directory / "libmicro-sanitized.so"
    functions = "".join(method.as_function() for method in methods())
    harness.write_text(
        f'#include "{HEADER.name}"\nusing stevie::Core;\nextern "C" {{\n'
        "Core* core_new() { return new Core(); }\n"
        f"void core_delete(Core* core) {{ delete core; }}\n{functions}}}\n"
    )
    includes = (f"-I{HEADER.parent}", f"-I{sysconfig.get_paths()['include']}")
    command = ("g++", *FLAGS, *includes, str(SOURCE), str(harness), "-o", str(library))
    subprocess.run(command, check=True, timeout=COMPILE_S)
    return library


def environ() -> dict[str, str]:
    """Return what a process needs to load the library and to stop at the first report."""
    preload = subprocess.run(
        ("g++", "-print-file-name=libasan.so"), capture_output=True, text=True, check=True
    )
    return {
        **os.environ,
        "LD_PRELOAD": preload.stdout.strip(),
        "PYTHONMALLOC": "malloc",  # each frame an allocation of its own, fenced
        # CPython does not free everything at its end, which is none of the kernel's leaks.
        # A short memory of who allocated what, or every object of Python costs ten times as much.
        "ASAN_OPTIONS": "detect_leaks=0:malloc_context_size=3:quarantine_size_mb=16",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


class SanitizedKernel:
    """Builds cores of a library that `build` made."""

    name = "sanitized"
    source_hash = "sanitized"

    def __init__(self, library: Path) -> None:
        self._library = ctypes.PyDLL(str(library))
        self._library.core_new.restype = ctypes.c_void_p
        self._library.core_delete.argtypes = (ctypes.c_void_p,)
        for method in methods():
            function = getattr(self._library, f"core_{method.name}")
            kinds = (KINDS[kind] for kind, _ in method.parameters)
            function.argtypes = (ctypes.c_void_p, *kinds)
            function.restype = ctypes.py_object

    def new_core(self, spec: CoreSpec) -> BookCore:
        """An empty core."""
        return cast(BookCore, NativeCore(_Core(self._library), spec))


class _Core:
    """What cppyy makes of the C++ class, made by ctypes."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._as_parameter_ = library.core_new()

    def __getattr__(self, name: str) -> Any:
        return functools.partial(getattr(self._library, f"core_{name}"), self._as_parameter_)

    def __del__(self) -> None:
        self._library.core_delete(self._as_parameter_)
