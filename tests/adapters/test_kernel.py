"""The kernel's border: how it is found, built, refused, and that nothing leaks across it."""

import gc
import resource
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from stevie.adapters import kernel as subject
from stevie.adapters.kernel import (
    KernelError,
    NativeKernel,
    PythonKernel,
    build_library,
    load_kernel,
    load_library,
)
from stevie.domain.market.core import (
    BookCore,
    Code,
    CoreSpec,
    CoreView,
    DeltaLevels,
    Scale,
)
from stevie.domain.market.features import Features
from stevie.domain.market.fixed_point import NumberError
from stevie.domain.market.sequencer import DeltaSpan, SequenceRule
from stevie.venues.binance.reference import BinanceReferenceCore

SPEC = CoreSpec(native_symbol="BTCUSDT", rule=SequenceRule.SPOT)
SNAPSHOT = b'{"lastUpdateId":10,"bids":[["99.5","1"]],"asks":[["100.5","2"]]}'
DELTA = b'{"e":"depthUpdate","s":"BTCUSDT","U":%d,"u":%d,"b":[["99","%d"]],"a":[["101","7"]]}'


WEBSOCKETS_WAY: Any = (bytearray(DELTA % (12, 12, 1)),)  # its Frame.data is a bytearray


@pytest.fixture(scope="module")
def kernel() -> NativeKernel:
    return NativeKernel()


@pytest.fixture
def core(kernel: NativeKernel) -> BookCore:
    core = kernel.new_core(SPEC)
    assert core.load_snapshot(SNAPSHOT, 0, 5) == Code.OK
    return core


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "COMPILER", "no-such-compiler")


def test_native_is_what_auto_takes_where_it_can() -> None:
    assert [load_kernel(mode, BinanceReferenceCore).name for mode in ("auto", "native")] == [
        "native",
        "native",
    ]


def test_python_serves_the_class_that_it_was_given() -> None:
    kernel = load_kernel("python", BinanceReferenceCore)
    assert kernel.name == "python"
    assert isinstance(kernel.new_core(SPEC), BinanceReferenceCore)


@pytest.mark.usefixtures("without_compiler")
def test_native_that_cannot_be_had_is_an_error_that_says_what_helps() -> None:
    with pytest.raises(KernelError, match=r"not installed .*apt-get install"):
        load_kernel("native", BinanceReferenceCore)


@pytest.mark.usefixtures("without_compiler")
def test_auto_falls_back_loudly() -> None:
    with capture_logs() as logs:
        kernel = load_kernel("auto", BinanceReferenceCore)

    assert kernel.name == "python"
    (log,) = logs
    assert (log["event"], log["log_level"]) == ("kernel_fallback", "warning")
    assert "not installed" in log["reason"]


def test_source_hashes_tell_the_kernels_and_their_sources_apart(kernel: NativeKernel) -> None:
    python = PythonKernel(BinanceReferenceCore)
    assert python.source_hash == PythonKernel(BinanceReferenceCore).source_hash
    assert len(kernel.source_hash) == len(python.source_hash) == 64
    assert kernel.source_hash != python.source_hash


def test_the_python_hash_covers_the_codec_and_the_domain_it_rests_on() -> None:
    names = {path.name for path in subject._sources_of(BinanceReferenceCore)}
    assert names >= {
        *("core.py", "features.py", "fixed_point.py", "ladder.py", "sequencer.py"),
        *("codec.py", "reference.py"),
    }


def test_a_library_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "BUILD_DIR", tmp_path / "build")
    monkeypatch.setattr(subject, "FLAGS", ("-std=c++17", "-O0", "-fPIC", "-shared"))
    said: list[str] = []

    first, second = build_library(said.append), build_library(said.append)

    assert first == second
    headers = first.with_suffix(subject.HEADERS_SUFFIX)
    assert {*first.parent.iterdir()} == {first, headers}  # nothing half-made stays behind
    assert ["compiling" in said[0], "up to date" in said[1]] == [True, True]


def test_loading_runs_the_compiler_only_if_a_header_of_the_build_has_gone(
    kernel: NativeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = build_library()
    library, header = tmp_path / present.name, tmp_path / "Python.h"
    library.symlink_to(present)
    header.touch()
    library.with_suffix(subject.HEADERS_SUFFIX).write_text(str(header))
    monkeypatch.setattr(subject, "_run_compiler", lambda *_, **__: pytest.fail("it ran"))

    assert load_library(library).source_hash() == kernel.source_hash
    header.unlink()
    with pytest.raises(pytest.fail.Exception, match="it ran"):
        load_library(library)


def test_a_build_that_fails_shows_the_compilers_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "micro.cpp"
    source.write_text("int main( { }")
    monkeypatch.setattr(subject, "SOURCES", (source, source))
    monkeypatch.setattr(subject, "BUILD_DIR", tmp_path / "build")

    with pytest.raises(KernelError, match="expected"):
        build_library()

    assert list((tmp_path / "build").iterdir()) == []


def test_a_build_directory_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(subject, "BUILD_DIR", tmp_path / "file" / "build")
    with pytest.raises(KernelError, match=r"cannot write .*build"):
        build_library()


def test_a_library_that_is_none_is_refused(kernel: NativeKernel, tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="cannot load"):
        load_library(tmp_path / "libnothing.so")


def test_loading_twice_is_harmless_and_loading_other_sources_is_refused(
    kernel: NativeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = build_library()
    assert load_library(library).source_hash() == kernel.source_hash

    changed = tmp_path / "micro.cpp"
    changed.write_text("// other")
    monkeypatch.setattr(subject, "SOURCES", (subject.SOURCES[0], changed))
    with pytest.raises(KernelError, match="other sources"):
        load_library(library)


def test_loading_leaves_signals_to_those_who_had_them() -> None:
    program = """
import gevent.monkey; gevent.monkey.patch_all()
import signal, subprocess
heard = []
signal.signal(signal.SIGALRM, lambda *_: heard.append("alarm"))
signal.signal(signal.SIGABRT, lambda *_: heard.append("abort"))
from stevie.adapters.kernel import NativeKernel
NativeKernel()
signal.raise_signal(signal.SIGALRM)
signal.raise_signal(signal.SIGABRT)
print(subprocess.run(["true"], timeout=20).returncode, *heard)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=subject.CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0 alarm abort\n", "")


def test_answers_are_the_contracts_own_types(core: BookCore) -> None:
    assert type(core.view()) is CoreView
    assert type(core.features(6)) is Features
    assert core.features(6).spread_bps == pytest.approx(100.0)
    assert core.view().best_bid == 995


def test_frames_may_be_bytes_or_bytearrays_in_a_list_or_a_tuple(core: BookCore) -> None:
    assert core.apply_frames([DELTA % (11, 11, 1)], (5,), 0) == (1, Code.OK)
    assert core.apply_frames(WEBSOCKETS_WAY, [5], 0) == (1, Code.OK)


def test_a_start_behind_the_end_is_nothing_to_do(core: BookCore) -> None:
    assert core.apply_frames([b"{}"], [5], 7) == (1, Code.OK)


@pytest.mark.parametrize(
    ("frames", "times", "start", "error"),
    [
        ("{}", [5], 0, TypeError),
        (["{}"], [5], 0, TypeError),
        ([memoryview(b"{}")], [5], 0, TypeError),
        ([None], [5], 0, TypeError),
        ([b"{}"], [5.0], 0, TypeError),
        ([b"{}"], [2**70], 0, OverflowError),
        ([b"{}"], [], 0, ValueError),
        ([b"{}"], [5], -1, ValueError),
    ],
)
def test_a_programmers_error_is_an_exception_and_not_a_crash(
    core: BookCore, frames: list[bytes], times: list[int], start: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        core.apply_frames(frames, times, start)
    assert core.apply_frames([b"{}"], [5], 0) == (1, Code.OK)


@pytest.mark.parametrize("levels", [array("d", [1.0, 1.0]), array("l", [1]), array("i", [1, 1])])
def test_level_arrays_of_another_kind_are_refused(core: BookCore, levels: "array[int]") -> None:
    delta = DeltaLevels(span=DeltaSpan(11, 11), bids=levels, asks=array("l"))
    with pytest.raises(ValueError, match="int64"):
        core.apply_levels(delta, 5)
    with pytest.raises(TypeError):
        core.apply_levels(DeltaLevels(span=DeltaSpan(11, 11), bids=[1, 1], asks=[]), 5)


def test_what_the_contract_refuses_comes_as_the_contracts_errors(
    kernel: NativeKernel, core: BookCore
) -> None:
    core.apply_levels(
        DeltaLevels(span=DeltaSpan(11, 11), bids=array("l", [2**60, 1]), asks=array("l")), 5
    )
    with pytest.raises(NumberError):
        core.refine(Scale(9, 0))
    with pytest.raises(ValueError, match="count"):
        core.top(-1)
    other = kernel.new_core(SPEC)
    other.refine(Scale(18, 0))
    with pytest.raises(NumberError):
        other.adopt(core)
    with pytest.raises(ValueError, match="another core"):
        core.adopt(core)


def test_a_core_without_a_spec_says_so(kernel: NativeKernel) -> None:
    bare = kernel._library.Core()
    with pytest.raises(RuntimeError, match="configure first"):
        bare.view()


def test_a_symbol_may_be_any_text_but_half_a_character(kernel: NativeKernel) -> None:
    frame = '{"e":"depthUpdate","s":"币\\u0000安","U":1,"u":1,"b":[],"a":[]}'.encode()
    exotic = kernel.new_core(CoreSpec(native_symbol="币\0安", rule=SequenceRule.SPOT))
    assert exotic.scan(frame) == (1, 1, 1)
    with pytest.raises(ValueError, match="native_symbol"):
        kernel.new_core(CoreSpec(native_symbol="\ud800", rule=SequenceRule.SPOT))


def exercise(core: BookCore, rounds: int) -> None:
    """Every call of the contract, with what it makes thrown away."""
    at_ns = [5]
    for _ in range(rounds):
        seq = core.view().last_seq + 1
        core.apply_frames([DELTA % (seq, seq, seq % 3), b"{", b"[]"], at_ns * 3, 0)
        core.scan(b'{"e":1}')
        core.top(5)
        core.ladder(5)
        core.features(9)
        core.load_snapshot(b"{}", 0, 5)


def test_a_hundred_thousand_calls_leak_no_memory_and_no_reference(core: BookCore) -> None:
    exercise(core, 2000)
    gc.collect()
    held = [Features, CoreView, None, SNAPSHOT]
    references_before = [sys.getrefcount(thing) for thing in held]
    blocks_before, kb_before = sys.getallocatedblocks(), peak_kb()

    exercise(core, 16_000)
    gc.collect()

    assert abs(sys.getallocatedblocks() - blocks_before) < 500
    assert peak_kb() - kb_before < 4_000
    drift = [sys.getrefcount(t) - was for t, was in zip(held, references_before, strict=True)]
    assert max(map(abs, drift)) < 50, drift


def test_cores_give_their_memory_back(kernel: NativeKernel) -> None:
    levels = ",".join(f'["{price}","1"]' for price in range(1, 5001)).encode()
    body = b'{"lastUpdateId":1,"bids":[%s],"asks":[]}' % levels
    references_before = sys.getrefcount(Features)

    def build(count: int) -> None:
        for _ in range(count):
            assert kernel.new_core(SPEC).load_snapshot(body, 0, 5) == Code.OK

    build(20)
    kb_before = peak_kb()
    build(200)
    gc.collect()

    assert peak_kb() - kb_before < 8_000  # 200 such books would be 50 MB
    assert sys.getrefcount(Features) == references_before


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
