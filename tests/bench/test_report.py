from pathlib import Path
from typing import NamedTuple

import pytest

from bench import report
from bench.report import Machine, Other, Results, document, write_docs
from bench.rounds import Figure, Timing, pair


def results() -> Results:
    row = pair(
        "frames to features",
        unit="frames/s",
        count=100,
        ours=("kernel", [0.1, 0.2, 0.3]),
        peer=("limit", [0.2, 0.1, 0.15]),
        target=0.5,
    )
    return Results(
        machine=Machine("Linux", "a processor", "3.11", "g++ 12", "abc", "2026-01-01"),
        versions={"numba": "0.68.1"},
        rounds=3,
        frames=100,
        pairs=[row],
        figures=[Figure("memory of a level", "B", 36.8, 36.8)],
        timings=[
            Timing("near", "kernel", "1", "apply", 12.4, 12.0),
            Timing("near", "limit", "", "decode", 5.0, 5.0),
        ],
        others=[Other("Latency", {"name": "on its way", "ours_p50": 12.5, "target": None})],
    )


def test_a_pair_holds_medians_and_the_median_of_the_ratios_of_the_rounds() -> None:
    (row,) = results().pairs

    assert (row.ours_per_s, row.ours_best_per_s) == pytest.approx((500.0, 1000.0))
    assert (row.peer_per_s, row.peer_best_per_s) == pytest.approx((100 / 0.15, 1000.0))
    assert row.ratio == pytest.approx(0.5)


def test_the_document_tells_machine_versions_targets_and_stages() -> None:
    text = document(results())

    assert "a processor" in text
    assert "commit abc" in text
    assert "numba 0.68.1" in text
    assert "| frames to features | kernel | 500 frames/s | limit | 667 | 0.50 | ≥ 0.50 |" in text
    assert "| kernel | 12 |  |" in text
    assert "| limit |  | 5 |" in text
    assert "| name | ours p50 | target |" in text
    assert "| on its way | 12.50 |  |" in text
    assert "| memory of a level | 36.8 B | 36.8 B |" in text


def test_only_what_stands_between_the_marks_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(report, "DOCUMENT", page)

    write_docs(results())
    once = page.read_text(encoding="utf-8")
    write_docs(results())

    assert once.startswith(f"before\n{report.BEGIN}\n")
    assert once.endswith(f"{report.END}\nafter\n")
    assert "old" not in once
    assert page.read_text(encoding="utf-8") == once


def test_results_survive_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")

    class Latency(NamedTuple):
        name: str
        ours_p50: float
        target: float | None

    own = Latency("on its way", 12.5, None)
    report.save([*results().pairs, *results().figures, *results().timings, own])

    loaded = report.load()
    assert (loaded.pairs, loaded.figures) == (results().pairs, results().figures)
    assert (loaded.timings, loaded.others) == (results().timings, results().others)
    assert loaded.versions["msgspec"] != "not installed"
