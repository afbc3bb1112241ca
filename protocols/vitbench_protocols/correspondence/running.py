"""One run: every point of every pair, by category and change of the view, and drawn."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vitbench.api import Backbone, Context, Dataset, Outcome, Score
from vitbench.kit import KeypointPair, Points, atomic, distributed, in_order
from vitbench_protocols.correspondence import THRESHOLDS
from vitbench_protocols.correspondence.matching import Maps, find_points

if TYPE_CHECKING:
    from vitbench_protocols.correspondence import Correspondence

AHEAD = 4  # pairs that are decoded before they are asked for
DRAWN_PX = 280
RIGHT, WRONG = (40, 160, 60), (214, 40, 40)

Errors = NDArray[np.float64]  # (k,), in units of the object's extent


def match_pairs(settings: "Correspondence", backbone: Backbone, context: Context) -> Outcome:
    """Find every point of every pair."""
    backbone.check_images(settings.size, settings.size)
    dataset: Dataset[KeypointPair] = context.dataset("test")
    pairs = [dataset[place] for place in range(len(dataset))]
    shown = np.linspace(0, len(pairs) - 1, settings.pictures).round().astype(int).tolist()
    mine = _share_of(pairs)
    maps = Maps(settings, backbone, context)
    errors: dict[int, Errors] = {}
    artifacts: dict[str, Path] = {}
    images = in_order(
        lambda place: pairs[place].images(), mine, workers=context.workers, ahead=AHEAD
    )
    for done, (place, (source, target)) in enumerate(zip(mine, images, strict=True)):
        pair = pairs[place]
        both = maps.of(pair.source, source), maps.of(pair.target, target)
        found = find_points(pair, *both, (max(source.size), max(target.size)))
        errors[place] = np.linalg.norm(found - pair.target_points, axis=1) / pair.extent
        if place in shown:
            path = context.output / f"{place:05d}.png"
            _draw(pair, (source, target), found, errors[place], path)
            artifacts[f"points {pair.id}"] = path
        context.progress("pairs", done + 1, len(mine))
    whole, drawn = distributed.merge_on_main(errors), distributed.merge_on_main(artifacts)
    if not distributed.is_main():
        return Outcome(())
    ranked = [whole[place] for place in range(len(pairs))]
    drawn["categories"] = context.output / "categories.csv"
    _write(pairs, ranked, drawn["categories"])
    return _outcome(pairs, ranked, drawn)


def _share_of(pairs: Sequence[KeypointPair]) -> list[int]:
    """Return this process's pairs: one stretch of them, sorted by category."""
    order = sorted(range(len(pairs)), key=lambda place: (pairs[place].category, place))
    size = -(-len(order) // distributed.world_size())
    start = distributed.rank() * size
    return order[start : start + size]


def _outcome(
    pairs: Sequence[KeypointPair], errors: Sequence[Errors], artifacts: Mapping[str, Path]
) -> Outcome:
    items = {
        name: np.array([100.0 * np.mean(one < limit) for one in errors])
        for name, limit in THRESHOLDS.items()
    }
    scores = [Score(name, float(values.mean()), len(pairs)) for name, values in items.items()]
    points = np.concatenate(errors)
    categories = [
        _share([one for pair, one in zip(pairs, errors, strict=True) if pair.category == name])
        for name in sorted({pair.category for pair in pairs})
    ]
    scores += [
        Score("pck10_points", _share([points]), len(points)),
        Score("pck10_categories", float(np.mean(categories)), len(categories)),
    ]
    ids = np.array([pair.id for pair in pairs])
    return Outcome(tuple(scores), {"ids": ids, **items}, artifacts)


def _share(errors: Sequence[Errors]) -> float:
    """Return the percentage of points within 0.10."""
    return 100.0 * float(np.mean(np.concatenate(errors) < THRESHOLDS["pck10"]))


def _write(pairs: Sequence[KeypointPair], errors: Sequence[Errors], path: Path) -> None:
    """Write PCK@0.10 of all points by category, for each change of the view and all."""
    views = sorted({pair.viewpoint for pair in pairs})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["category", "pairs", *(f"view change {view}" for view in views), "all"])
        for name in sorted({pair.category for pair in pairs}):
            mine = [
                (pair.viewpoint, one)
                for pair, one in zip(pairs, errors, strict=True)
                if pair.category == name
            ]
            cells = []
            for view in views:
                part = [one for viewpoint, one in mine if viewpoint == view]
                cells.append(f"{_share(part):.2f}" if part else "")
            everything = _share([one for _, one in mine])
            writer.writerow([name, len(mine), *cells, f"{everything:.2f}"])


def _draw(
    pair: KeypointPair,
    images: tuple[Image.Image, Image.Image],
    found: Points,
    errors: Errors,
    path: Path,
) -> None:
    """Draw both images with a line a point: green where it is found within 0.10."""
    factors = [DRAWN_PX / max(image.size) for image in images]
    sheet = Image.new("RGB", (2 * DRAWN_PX, DRAWN_PX), "white")
    for number, (image, factor) in enumerate(zip(images, factors, strict=True)):
        small = image.resize([max(1, round(side * factor)) for side in image.size])
        sheet.paste(small, (number * DRAWN_PX, 0))
    draw = ImageDraw.Draw(sheet)
    for point, place, error in zip(pair.source_points, found, errors, strict=True):
        start = (point[0] * factors[0], point[1] * factors[0])
        end = (place[0] * factors[1] + DRAWN_PX, place[1] * factors[1])
        color = RIGHT if error < THRESHOLDS["pck10"] else WRONG
        draw.line((*start, *end), fill=color, width=2)
        for x, y in (start, end):
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        sheet.save(temporary, "PNG")
