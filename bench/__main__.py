"""`make bench`: prints what was measured and writes bench/results.json.

`make bench ARGS="--quick"` takes a minute; `--only books,scale` names the suites to run;
`--write-docs` puts the tables into docs/performance.md, `--last` those of the run before.
"""

from gevent import monkey

monkey.patch_all()  # before anything that opens a socket or starts a thread is imported

import os
import sys

QUICK = {"BENCH_ROUNDS": "3", "BENCH_FRAMES": "10000"}
if "--quick" in sys.argv:
    os.environ |= QUICK  # read when what is below is imported, and by the contenders' processes

import argparse
import importlib
import logging

from rich.console import Console

from bench import report

SUITES = ("books", "scale", "actors", "pipeline", "wire", "audit")


def main() -> None:
    arguments = _arguments()
    logging.disable(logging.CRITICAL)  # the peers' own chatter is no part of their work
    console = Console(width=140)  # a table that a log keeps whole
    if not arguments.last:
        report.save(_run(arguments.only.split(","), console))
    results = report.load()
    for table in report.tables(results):
        console.print(table)
    console.print(report.headline(results), highlight=False)
    if arguments.write_docs:
        report.write_docs(results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer frames and rounds")
    parser.add_argument("--only", default=",".join(SUITES), help="suites, with commas between")
    parser.add_argument("--last", action="store_true", help="run nothing: show the last results")
    parser.add_argument("--write-docs", action="store_true", help="into docs/performance.md")
    return parser.parse_args()


def _run(suites: list[str], console: Console) -> "report.Rows":
    rows: report.Rows = []
    for suite in suites:
        module = importlib.import_module(f"bench.{suite}")
        with console.status(f"bench.{suite}"):
            rows += module.rows()
    return rows


if __name__ == "__main__":
    main()
