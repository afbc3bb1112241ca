"""Truth and predictions of one item on one picture."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from vitbench.reports.item import RunItem
from vitbench.reports.page.pictures import read_picture

WIDTH, LINE, GAP = 600, 20, 8  # px: of a picture at most, of a line of text, between pictures
Tile = tuple[str, Image.Image]  # what is written above a picture, and the picture


def draw_sheet(truths: Mapping[str, Image.Image], found: Sequence[RunItem]) -> Image.Image | None:
    """Draw the truth, and below it what runs drew: a row a frame, the same picture only once.

    Args:
        truths: The item with its truth, by what is written above it.
        found: The item in each run.

    Returns:
        The sheet; None where there is no picture at all.
    """
    rows: dict[str, list[Tile]] = {}
    if truths:
        rows["truth"] = [(text, _fitting(picture)) for text, picture in truths.items()]
    for one in found:
        for file in one.pictures:
            picture = read_picture(file.path)
            what, _, which = one.label(file).partition(" ")
            row = rows.setdefault(f"{one.record.protocol.name} {which}", [])
            if picture is not None and (fitting := _fitting(picture)) not in dict(row).values():
                row.append((f"{one.run}: {what} {which}", fitting))
    return (
        _stacked([_row(tiles) for tiles in rows.values() if tiles]) if any(rows.values()) else None
    )


def _fitting(picture: Image.Image) -> Image.Image:
    if picture.width <= WIDTH:
        return picture
    return picture.resize((WIDTH, max(1, round(picture.height * WIDTH / picture.width))))


def _row(tiles: Sequence[Tile]) -> Image.Image:
    """Put pictures side by side, each below its text."""
    font = ImageFont.load_default(size=13)
    widths = [max(picture.width, round(font.getlength(text)) + 4) + GAP for text, picture in tiles]
    height = max(picture.height for _, picture in tiles) + LINE + GAP
    whole, left = Image.new("RGB", (sum(widths), height), "white"), 0
    pen = ImageDraw.Draw(whole)
    for (text, picture), wide in zip(tiles, widths, strict=True):
        pen.text((left + 2, 2), text, "black", font)
        whole.paste(picture, (left, LINE))
        left += wide
    return whole


def _stacked(rows: Sequence[Image.Image]) -> Image.Image:
    size = (max(row.width for row in rows), sum(row.height for row in rows))
    whole, top = Image.new("RGB", size, "white"), 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return whole
