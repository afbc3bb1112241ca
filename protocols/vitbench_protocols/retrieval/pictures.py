"""Pictures of rankings: a query, and what was found first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from vitbench.api import Context, Dataset, Sample
from vitbench.kit import atomic, distributed
from vitbench_protocols.retrieval.precision import Places

FOUND = 7  # images beside the query
SIDE, FRAME = 96, 4  # px
RIGHT, WRONG, LEFT_OUT, QUERY = (40, 160, 60), (214, 40, 40), (150, 150, 150), (255, 255, 255)

Color = tuple[int, int, int]


class Rankings:
    """Rankings of some queries, evenly spread, drawn as they are told of.

    Args:
        count: How many are drawn.
        queries: Whose images are asked for.
        database: Whose images are found.
        boxes: What each query is cut to; empty: none is.
        context: Of the run.
    """

    def __init__(
        self,
        count: int,
        queries: Dataset[Sample[Any]],
        database: Dataset[Sample[Any]],
        boxes: Sequence[Any],
        context: Context,
    ) -> None:
        self._queries, self._database, self._boxes = queries, database, boxes
        self._folder = context.output
        self._shown = set(np.linspace(0, len(queries) - 1, count).round().astype(int).tolist())
        self.artifacts: dict[str, Path] = {}

    def add(self, place: int, ranking: Places, right: Places, junk: Places) -> None:
        """Draw a ranking, if it is to be shown: right in green, wrong in red, left out in gray."""
        if place not in self._shown:
            return
        path = self._folder / f"ranking-{place:06d}.png"
        self.artifacts[f"ranking {self._queries.ids[place]}"] = path
        if not distributed.is_main():
            return
        query = self._queries[place].image
        if self._boxes and self._boxes[place] is not None:
            query = query.crop(self._boxes[place])
        tiles = [_framed(query, QUERY)]
        others = ranking if self._queries is not self._database else ranking[ranking != place]
        for row in others[:FOUND]:
            color = LEFT_OUT if row in junk else RIGHT if row in right else WRONG
            tiles.append(_framed(self._database[int(row)].image, color))
        _save(tiles, path)


def _framed(image: Image.Image, color: Color) -> Image.Image:
    """Return a square of an image's middle in a frame."""
    inner = SIDE - 2 * FRAME
    return ImageOps.expand(ImageOps.fit(image, (inner, inner)), FRAME, color)


def _save(tiles: Sequence[Image.Image], path: Path) -> None:
    sheet = Image.new("RGB", (len(tiles) * SIDE, SIDE), "white")
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number * SIDE, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        sheet.save(temporary, "PNG")
