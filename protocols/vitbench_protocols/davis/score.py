"""`vitbench score davis`: J and F of anybody's result masks."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from vitbench.api import (
    Clip,
    Context,
    DataKind,
    Dataset,
    MetricSpec,
    Outcome,
    Presets,
    errors,
    mask_files,
    read_labels,
    setting,
)
from vitbench_protocols.davis.jf import Values, score_frame
from vitbench_protocols.davis.scores import METRICS, ClipScores, summarise, write_csv


@dataclass(frozen=True, slots=True, kw_only=True)
class DavisMasks:
    """J and F of a folder of result masks, `PREDICTIONS/<clip>/<frame>.png`, as published.

    Nothing is cached: what lies in the folder now is what is scored.

    Source:
        davisvideochallenge/davis2017-evaluation, semi-supervised task (ac7c43f).

    Differs:
        Decay is right beyond 256 frames too; the official value is in the CSV as `decay_uint8`.
    """

    name: ClassVar[str] = "davis"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "clips"
    default_data: ClassVar[str] = "davis"
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Presets] = {"standard": {}}

    split: Literal["val", "train"] = setting("val", help="which clips")
    year: Literal[2017, 2016] = setting(2017, help="2016: one object a clip, masks of 0 and 255")
    reference: Path | None = setting(
        None, help="folder of masks that count as the truth, instead of --data", identity=False
    )
    extra_objects: Literal["error", "drop"] = setting(
        "error", help="predicted labels above the number of true objects: refuse, or background"
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split that is read."""
        return (self.split if self.year == 2017 else f"2016/{self.split}",)

    def run(self, predictions: Path, context: Context) -> Outcome:
        """Score the masks of every clip; all of them are read and checked first.

        Raises:
            DatasetError: A clip or mask is missing, is no label map, has another size than the
                truth, or shows more objects. The message names the file.
        """
        clips: Dataset[Clip] = context.dataset(self.splits[0])
        todo = [_frames(clips[index], predictions) for index in range(len(clips))]
        found = []
        with ThreadPoolExecutor(context.workers) as pool:
            for done, frames in enumerate(todo, start=1):
                pairs = list(pool.map(self._score, frames))
                region, outline = (np.stack(values, axis=1) for values in zip(*pairs, strict=True))
                found.append(ClipScores(frames[0].clip.id, region, outline))
                context.progress("clips", done, len(todo))
        context.output.mkdir(parents=True, exist_ok=True)
        table = context.output / "objects.csv"
        write_csv(found, table)
        scores, items = summarise(found)
        return Outcome(scores, items, {"objects": table})

    def _score(self, frame: "_Frame") -> tuple[Values, Values]:
        """Return J and F of every object in one frame."""
        clip, truth = frame.clip, frame.clip.mask(frame.number)
        labels = read_labels(frame.prediction)
        if labels.shape != truth.shape:
            raise errors.DatasetError(
                f"the mask {str(frame.prediction)!r} has another size than the true one.",
                expected=f"{truth.shape[0]}x{truth.shape[1]} pixels (height x width)",
                found=f"{labels.shape[0]}x{labels.shape[1]}",
            )
        if clip.binary:
            labels = (labels > 0).astype(np.uint8)
        extra = labels > clip.objects
        if extra.any():
            if self.extra_objects == "error":
                raise errors.DatasetError(
                    f"the mask {str(frame.prediction)!r} shows more objects than there are.",
                    expected=f"labels 0 to {clip.objects}, as in {clip.masks[0].name} of the truth",
                    found=f"label {labels.max()}",
                    hint="--extra-objects drop takes them for background",
                )
            labels = np.where(extra, np.uint8(0), labels)
        return score_frame(truth, labels, clip.objects)


class _Frame(NamedTuple):
    """A frame to score: which, and the predicted mask."""

    clip: Clip
    number: int
    prediction: Path


def _frames(clip: Clip, predictions: Path) -> list[_Frame]:
    """List the scored frames of a clip, all but the first and the last."""
    folder = predictions / clip.id
    frames = [
        _Frame(clip, index, folder / clip.masks[index].name)
        for index in range(1, len(clip.masks) - 1)
    ]
    missing = [frame.prediction for frame in frames if not frame.prediction.is_file()]
    if missing:
        raise errors.DatasetError(
            f"{len(missing)} masks of clip {clip.id!r} are missing, first {str(missing[0])!r}.",
            expected="PREDICTIONS/<clip>/<frame>.png for every frame but the first and the last",
            found=f"{len(mask_files(folder))} masks"
            if folder.is_dir()
            else "no folder of the clip",
        )
    return frames
