"""Pictures of results: palette masks in DAVIS layout, overlays, videos."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.kit import (
    Clip,
    atomic,
    palette,
    read_labels,
)

Pixels = NDArray[np.uint8]

STRENGTH = 0.5  # of an object's color over the frame
FRAMES_PER_SECOND = 24


def write_mask(labels: Pixels, path: Path) -> None:
    """Write a label map as a palette PNG."""
    image = Image.fromarray(labels)
    image.putpalette(palette().tobytes())
    with atomic(path) as temporary:
        image.save(temporary, format="PNG")


def overlay(frame: Pixels, labels: Pixels) -> Pixels:
    """Lay the objects' colors over a BGR frame, outlined, shape (H, W, 3)."""
    import cv2

    colors = palette()[:, ::-1]
    mixed = cv2.addWeighted(frame, 1 - STRENGTH, colors[labels], STRENGTH, 0)
    shown: Pixels = np.where((labels > 0)[..., None], mixed, frame)
    for label in range(1, int(labels.max()) + 1):
        mask = (labels == label).view(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, outlines, -1, (255, 255, 255), 1)
    return shown


def write_overlay(clip: Clip, masks: Path, index: int, path: Path) -> None:
    """Write one frame with its mask laid over it, as a JPEG."""
    _write_jpeg(_shown(clip, masks, index), path)


def write_truth(clip: Clip, index: int, path: Path) -> None:
    """Write one frame with its true mask laid over it, as a JPEG."""
    _write_jpeg(overlay(clip.frame(index), clip.mask(index)), path)


def _write_jpeg(picture: Pixels, path: Path) -> None:
    import cv2

    path.parent.mkdir(exist_ok=True)
    _, data = cv2.imencode(".jpg", picture)
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())


def write_video(clip: Clip, masks: Path, path: Path) -> None:
    """Write the whole clip with its masks laid over it: MP4, or GIF at half the size."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".part-{path.name}")  # the ending tells OpenCV the container
    shown = (_shown(clip, masks, index) for index in range(len(clip.frames)))
    write = _write_mp4 if path.suffix == ".mp4" else _write_gif
    write(shown, part, (clip.width, clip.height))
    part.replace(path)


def _shown(clip: Clip, masks: Path, index: int) -> Pixels:
    labels = read_labels(masks / f"{clip.frames[index].stem}.png")
    return overlay(clip.frame(index), labels)


def _write_mp4(frames: Iterator[Pixels], path: Path, size: tuple[int, int]) -> None:
    import cv2

    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, FRAMES_PER_SECOND, size)
    for frame in frames:
        writer.write(frame)
    writer.release()


def _write_gif(frames: Iterator[Pixels], path: Path, size: tuple[int, int]) -> None:
    half = (size[0] // 2, size[1] // 2)
    images = [Image.fromarray(frame[..., ::-1]).resize(half) for frame in frames]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=1000 // FRAMES_PER_SECOND, loop=0
    )
