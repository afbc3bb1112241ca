"""The table of `backbones.py`: a row for each network, kept as lines of JSON, written as a page."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import timm

EQUAL = 1e-5  # largest difference, relative to the largest absolute value of a map
Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was seen of one network."""

    name: str
    way: str = ""  # "plain ViT", "Swin" or "timm"
    parameters: float = 0.0  # millions, at full depth
    reduced: str = ""  # how it was made smaller, if it was
    sizes: tuple[Size, ...] = ()  # that it was run on
    refused: tuple[Size, ...] = ()  # said to be impossible before any work
    maps: float | None = None  # largest relative difference of a map, over layers and sizes
    pooled: float | None = None  # likewise of the pooled features; None where timm pools nothing
    rounding: float | None = None  # of timm's own maps against float64's, where maps differ
    ours: float | None = None  # images a second at the native size, all layers, one thread
    timms: float | None = None
    error: str = ""

    @property
    def equal(self) -> bool:
        """Whether it loaded and gave timm's numbers."""
        return not self.error and (self.maps or 0.0) <= EQUAL and (self.pooled or 0.0) <= EQUAL

    @property
    def rounded(self) -> bool:
        """Whether it differs by no more than rounding, which deep random networks amplify."""
        return not self.equal and self.maps is not None and self.maps <= 4 * (self.rounding or 0.0)


def names() -> list[str]:
    """Return the architectures that timm lists as pretrained."""
    return sorted({name.partition(".")[0] for name in timm.list_models(pretrained=True)})


def read(path: Path) -> dict[str, Row]:
    """Return the rows of a file of results by name."""
    rows = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        told = json.loads(line)
        for key in ("sizes", "refused"):
            told[key] = tuple(tuple(size) for size in told[key])
        rows[told["name"]] = Row(**told)
    return rows


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Write the rows as a page of Markdown."""
    run = [row for row in rows if row.maps is not None]
    equal = sum(row.equal for row in run)
    listed = len(names())
    tracebacks = sum(bool(row.error) and not row.error.startswith("refused") for row in rows)
    faster = [row.ours / row.timms for row in run if row.ours and row.timms]
    yield "# Every network of timm"
    yield ""
    yield "Made by `benchmarks/backbones.py`, which says how; float32, one image, one CPU thread."
    yield ""
    yield f"- timm {timm.__version__} lists {listed} architectures with pretrained weights;"
    yield f"  {len(rows)} were looked at, {len(run)} of them run with random weights;"
    yield f"- {equal} load and give timm's numbers within {EQUAL:.0e}, {equal / listed:.1%} of all;"
    yield f"- {sum(row.rounded for row in run)} differ as much as timm's own float32 from float64;"
    yield f"- {tracebacks} tracebacks;"
    if faster:
        yield f"- ours gives {median(faster):.2f} x the images a second of timm's call (median)."
    yield ""
    yield "| name | by | M parameters | map | pooled | sizes | refused | ours, img/s | timm's |"
    yield "| --- | --- | ---: | ---: | ---: | --- | --- | ---: | ---: |"
    for row in rows:
        how = row.way + (f" ({row.reduced})" if row.reduced else "")
        if row.error:
            yield f"| {row.name} | {how} | {row.parameters} | {row.error} | | | | | |"
            continue
        cells = (
            _number(row.maps, ".0e") + (f" (rounding: {row.rounding:.0e})" if row.rounding else ""),
            _number(row.pooled, ".0e"),
            _sizes(row.sizes),
            _sizes(row.refused),
            _number(row.ours, ".2f"),
            _number(row.timms, ".2f"),
        )
        yield f"| {row.name} | {how} | {row.parameters} | {' | '.join(cells)} |"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _sizes(sizes: Sequence[Size]) -> str:
    return ", ".join(f"{height}x{width}" for height, width in sizes)
