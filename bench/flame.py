"""`make flame`: where the kernel's time goes, as docs/flame.svg, and in figures on the terminal.

py-spy samples Python and C++ of the benchmark's own loop, raw frames to features in batches. Its
stacks are drawn here: functions without lines, without what is above that loop, small enough to
commit.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from bench.peers.contender import Stage
from bench.peers.kernel import Kernel
from bench.workload import generate
from stevie.adapters import kernel

SECONDS = 10.0
FRAMES = 10_000
SAMPLES_PER_S = 500
ROOT = "Kernel._batches"
CROSSING = "cppyy"
WRAPPERS = {"guarded", "operator"}  # of each call into the kernel
PICTURE = Path(__file__).parents[1] / "docs" / "flame.svg"

WIDTH, ROW_HEIGHT, LETTER_WIDTH = 1200, 18, 6.6
SHARE_MIN = 0.002  # of the time: what is less is counted as its caller's own
COLORS = {"py": "#8fb8de", "c++": "#f0b27a", "": "#cccccc"}


@dataclass
class Node:
    """A function, as it was called from where it is drawn."""

    name: str
    language: str = ""
    samples: int = 0
    children: dict[str, "Node"] = field(default_factory=dict)

    @property
    def own(self) -> int:
        """Samples of the function itself."""
        return self.samples - sum(child.samples for child in self.children.values())

    @property
    def depth(self) -> int:
        return 1 + max((child.depth for child in self.children.values()), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.flame", description=__doc__)
    parser.add_argument("--work", action="store_true", help="be the process that is looked at")
    if parser.parse_args().work:
        work()
        return
    root = tree(record().splitlines())
    PICTURE.write_text(picture(root), encoding="utf-8")
    for name, own in sorted(owners(root).items(), key=lambda item: -item[1]):
        if own > 5 * SHARE_MIN * root.samples:
            print(f"{own / root.samples:6.1%}  {name}")


def work() -> None:
    """Batches with a reading each, again and again."""
    # Debug information names the functions that were inlined; the code stays the same.
    setattr(kernel, "FLAGS", (*kernel.FLAGS, "-g"))  # noqa: B010 - a tuple one longer
    contender = Kernel(generate(FRAMES))
    end_s = time.perf_counter() + SECONDS
    while time.perf_counter() < end_s:
        contender.reset(Stage.BATCHES)
        contender.run(Stage.BATCHES)


def record() -> str:
    """The stacks of that process: `outer;...;inner count` a line."""
    spy = Path(sys.executable).with_name("py-spy")
    target = [sys.executable, "-m", "bench.flame", "--work"]
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        options = ["--native", "--rate", str(SAMPLES_PER_S), "--format", "raw"]
        command = [str(spy), "record", *options, "--output", str(stacks), "--", *target]
        subprocess.run(command, check=True, stdout=sys.stderr)
        return stacks.read_text(encoding="utf-8")


# -- from stacks to a tree -----------------------------------------------------------------------


def tree(lines: list[str]) -> Node:
    """What ROOT called, and for how many samples."""
    root = Node(ROOT, "py")
    for line in lines:
        stack, _, count = line.rpartition(" ")
        calls = [call for frame in stack.split(";") if (call := _call(frame))]
        if (ROOT, "py") in calls:
            _add(root, calls[calls.index((ROOT, "py")) + 1 :], int(count))
    prune(root, SHARE_MIN * root.samples)
    return root


def prune(node: Node, samples_min: float) -> None:
    """Count calls that took next to nothing as their caller's own time."""
    node.children = {
        name: child for name, child in node.children.items() if child.samples >= samples_min
    }
    for child in node.children.values():
        prune(child, samples_min)


def _add(root: Node, calls: list[tuple[str, str]], samples: int) -> None:
    node = root
    node.samples += samples
    for name, language in calls:
        # Whatever lies between Python and the kernel is cppyy; what the kernel calls is its own.
        if language or (name != node.name and node.language == "py"):
            node = node.children.setdefault(name, Node(name, language))
            node.samples += samples


def _call(frame: str) -> tuple[str, str] | None:
    """`stevie::(anonymous namespace)::Side::set (micro.cpp:170)`: `Side::set`, `c++`."""
    name, _, place = frame.rpartition(" (")
    if ".py:" in place:
        return name, "py"
    if not place.startswith("micro.cpp:"):
        return CROSSING, ""
    name = name.replace("(anonymous namespace)::", "").replace("stevie::", "")
    short = re.split(r"[<({ ]", name)[0]
    return None if short in WRAPPERS else (short, "c++")


def owners(node: Node) -> dict[str, int]:
    """Samples of each function itself, wherever it was called from."""
    found = {node.name: node.own}
    for child in node.children.values():
        for name, own in owners(child).items():
            found[name] = found.get(name, 0) + own
    return found


# -- from a tree to a picture --------------------------------------------------------------------


def picture(root: Node) -> str:
    """An SVG, the root at the top; each box names its share when it is pointed at."""
    height = (root.depth + 1) * ROW_HEIGHT
    boxes = "\n".join(_boxes(root, root, x=0.0, y=0))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="monospace" font-size="11">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{boxes}\n</svg>\n'
    )


def _boxes(node: Node, root: Node, *, x: float, y: int) -> Iterator[str]:
    share = node.samples / root.samples
    width = share * WIDTH
    room = int(width / LETTER_WIDTH) - 1
    label = node.name if len(node.name) <= room else node.name[:room]
    yield (
        f'<g><title>{escape(node.name)} {share:.1%}</title><rect x="{x:.1f}" y="{y}" '
        f'width="{max(0.5, width - 0.5):.1f}" height="{ROW_HEIGHT - 1}" '
        f'fill="{COLORS[node.language]}"/>'
        f'<text x="{x + 3:.1f}" y="{y + ROW_HEIGHT - 6}">{escape(label)}</text></g>'
    )
    for child in sorted(node.children.values(), key=lambda child: -child.samples):
        yield from _boxes(child, root, x=x, y=y + ROW_HEIGHT)
        x += child.samples / root.samples * WIDTH


if __name__ == "__main__":
    main()
