"""Kernel: what builds book cores, `native` (C++ through cppyy) or `python` (the reference).

`python -m stevie.adapters.kernel --build` compiles `native/micro.cpp` and proves that it loads.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast

import structlog

from stevie.adapters.signals import signals_kept
from stevie.domain.market.core import (
    BookCore,
    CoreSpec,
    CoreView,
    DeltaBatch,
    DeltaLevels,
    Scale,
)
from stevie.domain.market.features import Features
from stevie.domain.market.fixed_point import NumberError
from stevie.ports import Kernel

KernelMode = Literal["auto", "native", "python"]

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = (CHECKOUT / "native" / "micro.h", CHECKOUT / "native" / "micro.cpp")
BUILD_DIR = CHECKOUT / "build"

COMPILER = "g++"
# No -march: the library may serve on another CPU, and an FMA would round unlike Python.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fPIC", "-shared")
COMPILE_TIMEOUT_S = 300
PREFLIGHT_TIMEOUT_S = 30
LIBRARY_MODE = 0o755  # who builds (an image, say) need not be who runs
HEADERS_SUFFIX, HEADERS_MODE = ".headers", 0o644  # what stands beside the library


class KernelError(RuntimeError):
    """The native kernel cannot be built or loaded here; says why and what helps."""


class NativeCore:
    """A `BookCore` in C++. What needs no translation is the C++ method itself."""

    __slots__ = (
        "_apply_deltas",
        "_apply_levels",
        "_core",
        "_refine",
        "apply_frames",
        "features",
        "follow",
        "ladder",
        "load_snapshot",
        "pause_at",
        "scan",
        "top",
        "view",
    )

    def __init__(self, core: Any, spec: CoreSpec) -> None:
        core.configure(
            spec.native_symbol,
            int(spec.rule),
            spec.scale.price_decimals,
            spec.scale.size_decimals,
            spec.features.obi_levels,
            spec.features.window_ns,
            spec.features.window_events,
            CoreView,
            Features,
            NumberError,
        )
        self._core = core
        # PERF: a Python method in between would cost a tenth of a frame.
        self.load_snapshot, self.apply_frames = core.load_snapshot, core.apply_frames
        self.scan, self.pause_at, self.view = core.scan, core.pause_at, core.view
        self.top, self.ladder, self.features = core.top, core.ladder, core.features
        self.follow, self._apply_deltas = core.follow, core.apply_deltas
        self._apply_levels, self._refine = core.apply_levels, core.refine

    def apply_levels(self, levels: DeltaLevels, at_ns: int) -> int:
        """Apply one delta of any codec; a Code."""
        span = levels.span
        code: int = self._apply_levels(
            span.first_seq,
            span.last_seq,
            span.previous_seq,
            levels.event_ns,
            levels.bids,
            levels.asks,
            at_ns,
        )
        return code

    def apply_deltas(self, deltas: DeltaBatch, start: int) -> tuple[int, int]:
        """Apply many deltas of any codec; answers as `apply_frames` does."""
        end: tuple[int, int] = self._apply_deltas(deltas.heads, deltas.levels, start)
        return end

    def adopt(self, fresher: "NativeCore") -> None:
        """Take the levels and the place of another core; keep windows and counts."""
        self._core.adopt(fresher._core)

    def refine(self, scale: Scale) -> None:
        """Count in ticks and lots at least this fine."""
        self._refine(scale.price_decimals, scale.size_decimals)


class NativeKernel:
    """Cores in C++; KernelError if the library cannot be built or loaded."""

    name = "native"

    def __init__(self) -> None:
        self._library = load_library(build_library())
        self.source_hash: str = self._library.source_hash()

    def new_core(self, spec: CoreSpec) -> BookCore:
        """An empty core."""
        return cast(BookCore, NativeCore(self._library.Core(), spec))


class PythonKernel:
    """Cores of the reference class that it is given."""

    name = "python"

    def __init__(self, core_class: Callable[[CoreSpec], BookCore]) -> None:
        self._core_class = core_class
        self.source_hash = _hash_of(*_sources_of(core_class))

    def new_core(self, spec: CoreSpec) -> BookCore:
        """An empty core."""
        return self._core_class(spec)


def load_kernel(mode: KernelMode, core_class: Callable[[CoreSpec], BookCore]) -> Kernel:
    """The kernel of that mode; `auto` is native where it can be had, and says so where it cannot.

    KernelError if `native` cannot be had. `core_class` is what serves as the reference.
    """
    if mode == "python":
        return PythonKernel(core_class)
    try:
        return NativeKernel()
    except KernelError as error:
        if mode == "native":
            raise
        structlog.get_logger().warning("kernel_fallback", kernel="python", reason=str(error))
        return PythonKernel(core_class)


def build_library(say: Callable[[str], object] = lambda _: None) -> Path:
    """The compiled kernel of these very sources; compiles it if it is not there yet."""
    library = _library_path()
    if library.exists():
        say(f"kernel: {library.name} is up to date")
        return library
    say(f"kernel: compiling {SOURCES[1].name} to {library.name}, a few seconds")
    try:
        library.parent.mkdir(exist_ok=True)
        # Into a name of its own first: another process may be building, or loading, the same.
        handle, scratch = tempfile.mkstemp(dir=library.parent, suffix=".so")
        os.close(handle)
        headers = Path(scratch).with_suffix(HEADERS_SUFFIX)
        try:
            _compile(Path(scratch))
            headers.write_text("\n".join(_preflight()), encoding="utf-8")
            Path(scratch).chmod(LIBRARY_MODE)
            headers.chmod(HEADERS_MODE)
            headers.replace(library.with_suffix(HEADERS_SUFFIX))
            Path(scratch).replace(library)
        finally:
            Path(scratch).unlink(missing_ok=True)
            headers.unlink(missing_ok=True)
    except OSError as error:
        raise KernelError(f"cannot write {library}: {error}") from error
    return library


def load_library(library: Path) -> Any:
    """The namespace `stevie` of the library, once checked that it is of the present sources."""
    if not _has_headers(library):
        _preflight()
    with signals_kept():
        # Here and not above: it costs 0.4 s and 150 MB, which the Python kernel need not pay.
        import cppyy  # noqa: PLC0415

    try:
        # The header's include guard and the dynamic loader make a second load a no-op.
        cppyy.include(str(SOURCES[0]))
        cppyy.load_library(str(library))
        namespace = cppyy.gbl.stevie
        loaded = namespace.source_hash()
    except (RuntimeError, ImportError, SyntaxError, AttributeError) as error:
        raise KernelError(f"cppyy cannot load {library}: {error}") from error
    if loaded != _hash_of(*SOURCES):
        raise KernelError(f"a kernel of other sources is loaded already ({loaded[:16]}): restart")
    return namespace


def _compile(target: Path) -> None:
    hash_flag = f'-DSTEVIE_SOURCE_HASH="{_hash_of(*SOURCES)}"'
    _run_compiler(
        (*FLAGS, hash_flag, f"-I{_python_headers()}", str(SOURCES[1]), "-o", str(target)),
        timeout_s=COMPILE_TIMEOUT_S,
    )


def _has_headers(library: Path) -> bool:
    """Whether the compiler, which cling asks too, and all headers of the build are still there."""
    if shutil.which(COMPILER) is None:
        return False
    try:
        found = library.with_suffix(HEADERS_SUFFIX).read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return bool(found) and all(map(os.path.exists, found))


def _preflight() -> list[str]:
    """The headers that cling is going to read: without them it aborts the process at import."""
    told = _run_compiler(
        ("-M", "-x", "c++", f"-I{_python_headers()}", "-"),
        source="#include <Python.h>\n#include <cstdint>\n",
        timeout_s=PREFLIGHT_TIMEOUT_S,
    )
    return [word for word in told.split() if word.startswith("/")]


def _run_compiler(arguments: tuple[str, ...], *, timeout_s: int, source: str = "") -> str:
    compiler = shutil.which(COMPILER)
    if compiler is None:
        raise KernelError(f"{COMPILER} is not installed (Debian: apt-get install g++)")
    try:
        done = subprocess.run(  # noqa: S603 - arguments of ours, no shell
            (compiler, *arguments),
            input=source,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelError(f"{COMPILER} did not run: {error}") from error
    if done.returncode != 0:
        hint = "Debian: apt-get install g++ python3-dev"
        raise KernelError(f"{COMPILER} failed ({hint}):\n{done.stderr.strip()}")
    return done.stdout


def _library_path() -> Path:
    key = "\n".join((_hash_of(*SOURCES), *FLAGS, sysconfig.get_config_var("SOABI"), sys.version))
    return BUILD_DIR / f"libmicro-{sha256(key.encode()).hexdigest()[:16]}.so"


def _python_headers() -> str:
    return sysconfig.get_paths()["include"]


def _hash_of(*sources: Path) -> str:
    try:
        return sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    except OSError as error:
        raise KernelError(f"the kernel's sources cannot be read: {error}") from error


def _sources_of(core_class: Callable[[CoreSpec], BookCore]) -> list[Path]:
    """The file of a class and those of all modules of ours that it draws on, by name."""
    waiting, found = [core_class.__module__], dict[str, Path]()
    while waiting:
        name = waiting.pop()
        if name in found or name.partition(".")[0] != __name__.partition(".")[0]:
            continue
        module = sys.modules[name]
        found[name] = Path(str(module.__file__))
        waiting += [getattr(thing, "__module__", None) or "" for thing in vars(module).values()]
    return [found[name] for name in sorted(found)]


def main() -> int:
    """Build the native kernel and load it, saying what is done; 1 if that fails."""
    parser = argparse.ArgumentParser(prog="python -m stevie.adapters.kernel", description=__doc__)
    parser.add_argument("--build", action="store_true", required=True, help="compile and load")
    parser.parse_args()

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    try:
        library = build_library(say)
        say("kernel: loading it through cppyy (the first time on a machine takes longer)")
        say(f"kernel: native serves, sources {load_library(library).source_hash()[:16]}")
    except KernelError as error:
        sys.stderr.write(f"kernel: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
