"""A campaign as the command line runs it: the counts, the first failure, the way to repeat it."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from stevie.cli import app
from stevie.domain.market.book import Book
from stevie.explore.campaign import Request, RequestError, as_json, explore, print_summary
from tests.deterministic import planted
from tests.domain.market.depth_chains import kernel_named

REQUEST = Request(
    first_seed=1, seeds=2, seconds=20, symbols=("BTCUSDT",), venues=("binance",), plan=""
)


def run(request: Request):
    counts: list[int] = []
    summary = explore(request, kernel_named("python"), counts.append)
    return summary, counts


def printed(summary) -> str:
    text = io.StringIO()
    print_summary(Console(file=text, width=100), summary)
    return text.getvalue()


def test_a_clean_campaign_adds_up_its_seeds():
    summary, counts = run(REQUEST)

    assert counts == [1, 2]
    assert summary.finding is None
    assert (summary.seeds, summary.virtual_s) == (2, 40.0)
    told = as_json(summary)
    assert told["failure"] is None
    assert told["virtual_minutes"] == 0.667
    assert told["digest"] == run(REQUEST)[0].digest
    assert "0.7 virtual minutes" in printed(summary)
    assert summary.digest in printed(summary)


def test_a_failing_seed_ends_the_campaign_is_shrunk_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
):
    planted.crossed_book_repaired(monkeypatch)
    plan = "skew@1000+900:binance*0~700 cross@2000+900:binance/BTCUSDT*2~300"
    request = Request(
        first_seed=1, seeds=5, seconds=20, symbols=("BTCUSDT",), venues=("binance",), plan=plan
    )

    summary, counts = run(request)
    told = as_json(summary)["failure"]

    assert counts == [1]
    assert told["plan"] == plan
    assert told["smallest_plan"].startswith("cross@2000+")
    assert told["reproduce"] == (
        "stevie explore --seeds 1 --seed 1 --minutes 0.333333 --symbols BTCUSDT --venues binance "
        f'--plan "{told["smallest_plan"]}"'
    )
    assert told["reproduce"] in printed(summary)
    assert told["events"][-1] in printed(summary)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"symbols": ("DOGEUSDT",)}, "symbols: expected some of BTCUSDT, ETHUSDT, SOLUSDT"),
        ({"venues": ("kraken",)}, "venues: expected some of binance, binance_usdm"),
        ({"venues": ("binance", "binance")}, "venues"),
        ({"seconds": 19}, "expected at least 20 s, was 19"),
        ({"plan": "drop"}, "plan: 'drop' is no fault"),
        ({"plan": "drop@1+1:binance/ETHUSDT*1~0"}, "hits none of binance/BTCUSDT"),
    ],
)
def test_what_cannot_be_explored_is_refused_with_what_can(change: dict, said: str):
    request = Request(**({**_fields(REQUEST), **change}))

    with pytest.raises(RequestError, match=said):
        run(request)


def _fields(request: Request) -> dict:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def test_the_command_answers_with_json_and_its_exit_code(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STEVIE__KERNEL__MODE", "python")
    arguments = ["explore", "--seeds", "1", "--minutes", "0.5", "--symbols", "BTCUSDT", "--json"]

    clean = CliRunner().invoke(app, arguments)
    monkeypatch.setattr(Book, "_judge_horizon", lambda *_: None)
    planted.gap_message_applied_again(monkeypatch)
    failed = CliRunner().invoke(app, [*arguments, "--plan", ""])
    wrong = CliRunner().invoke(app, ["explore", "--symbols", "DOGEUSDT"])

    assert (clean.exit_code, failed.exit_code, wrong.exit_code) == (0, 1, 2)
    assert json.loads(clean.stdout)["failure"] is None
    assert json.loads(failed.stdout)["failure"]["smallest_plan"] == ""
