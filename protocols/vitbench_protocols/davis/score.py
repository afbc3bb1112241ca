"""`vitbench score davis`: J and F of result masks."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitbench.api import (
    Context,
    DataKind,
    Dataset,
    MetricSpec,
    Outcome,
    Presets,
    errors,
    setting,
)
from vitbench.kit import Clip, read_labels
from vitbench_protocols.davis.jf import Values, score_frame
from vitbench_protocols.davis.object_order import better_order, count_overlaps
from vitbench_protocols.davis.result_folder import found_instead, result_folder
from vitbench_protocols.davis.scores import (
    METRICS,
    ClipScores,
    only_entered,
    split_name,
    summarize,
    write_csv,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DavisMasks:
    """J&F of result masks, `PREDICTIONS/CLIP/FRAME.png`, equal to DAVIS's official evaluator.

    PREDICTIONS is a folder or a zip file; the folders of the clips may lie deeper in it. Nothing is
    cached: each call reads the masks anew.

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
    preset_notes: ClassVar[Mapping[str, str]] = {
        "standard": "as davis2017-evaluation, the official evaluator"
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench score davis masks/ --data davis",
        "vitbench score davis masks.zip --reference true_masks/",
    )

    split: Literal["val", "train"] = setting("val", help="split of the clips")
    year: Literal[2017, 2016] = setting(
        2017, help="edition of DAVIS; 2016 has one object in a clip, and masks of 0 and 255"
    )
    reference: Path | None = setting(
        None, help="folder of masks that are taken for the truth, instead of --data", identity=False
    )
    extra_objects: Literal["error", "drop"] = setting(
        "error",
        help="predicted labels above the number of true objects: end with an error, or count as"
        " background",
    )
    late_objects: bool = setting(
        False,
        help="score objects that first appear in a later frame, from the frame after their first"
        " mask on, as YouTube-VOS does; without this flag a clip with such an object is refused",
        identity=False,  # without it, data where it matters gives no score at all
    )
    threshold: int = setting(
        0,
        help="gray level from which on a pixel of a --year 2016 mask is object; 0: masks hold two"
        " values only",
        minimum=0,
        maximum=255,
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split that is read."""
        return (split_name(self.split, self.year, late_objects=self.late_objects),)

    def run(self, predictions: Path, context: Context) -> Outcome:
        """Score the masks of every clip; all of them must be there.

        Raises:
            DatasetError: A clip or mask is missing, is no label map, has another size than the
                truth, or shows more objects. The message names the file.
            SettingError: A threshold where masks hold object numbers.
        """
        if self.threshold and self.year != 2016:
            raise errors.SettingError(
                ["--threshold is for gray masks of one object, not for object numbers"],
                hint="add --year 2016, or leave out --threshold",
            )
        clips: Dataset[Clip] = context.dataset(self.splits[0])
        with result_folder(predictions, clips.ids) as folder:
            if folder != predictions and folder.is_relative_to(predictions):
                context.note(f"the masks are those in {folder.relative_to(predictions).as_posix()}")
            return self._scored(folder, clips, context)

    def _scored(self, folder: Path, clips: Dataset[Clip], context: Context) -> Outcome:
        """Score the masks in a folder that has one folder for each clip."""
        todo = [_frames(clips[index], folder) for index in range(len(clips))]
        found = []
        with ThreadPoolExecutor(context.workers) as pool:
            for done, frames in enumerate(todo, start=1):
                scored = list(pool.map(self._score, frames))
                region = np.stack([one.region for one in scored], axis=1)
                outline = np.stack([one.outline for one in scored], axis=1)
                found.append(ClipScores(frames[0].clip.id, region, outline))
                swapped = better_order(np.sum([one.overlaps for one in scored], axis=0))
                if swapped:
                    context.note(f"clip {frames[0].clip.id}: {swapped}")
                context.progress("clips", done, len(todo), "clips")
        context.output.mkdir(parents=True, exist_ok=True)
        table = context.output / "objects.csv"
        write_csv(found, table)
        scores, items = summarize(found)
        return Outcome(scores, items, {"objects": table})

    def _score(self, frame: "_Frame") -> "_Scored":
        """Return J and F of every object in one frame, and which objects overlap."""
        clip, truth = frame.clip, frame.clip.mask(frame.number)
        labels = self._labels(frame.prediction, binary=clip.binary)
        if labels.shape != truth.shape:
            raise errors.DatasetError(
                f"the mask {str(frame.prediction)!r} has another size than the true one.",
                expected=f"{truth.shape[0]}x{truth.shape[1]} pixels (height x width)",
                found=f"{labels.shape[0]}x{labels.shape[1]}",
                hint="write the masks at the size of the frames",
            )
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
        overlaps = count_overlaps(truth, labels, clip.objects)
        region, outline = only_entered(score_frame(truth, labels, clip.objects), clip, frame.number)
        return _Scored(region, outline, overlaps)

    def _labels(self, path: Path, *, binary: bool) -> NDArray[np.uint8]:
        """Read a predicted mask: object numbers, or 0 and 1 of DAVIS-2016's one object."""
        if not binary or self.threshold:
            labels = read_labels(path)
            return (labels >= self.threshold).astype(np.uint8) if binary else labels
        try:
            return read_labels(path, binary=True)
        except errors.DatasetError as error:
            read_labels(path)  # raises again unless gray levels are all that is wrong
            raise errors.DatasetError(
                error.wrong, expected=error.expected, found=error.found, hint="--threshold 128"
            ) from error


class _Scored(NamedTuple):
    """J and F of one frame, and the overlaps of its objects."""

    region: Values  # J, (objects,)
    outline: Values  # F, (objects,)
    overlaps: NDArray[np.int64]  # (objects, objects)


class _Frame(NamedTuple):
    """A frame to score: its clip, its number, and the file of its predicted mask."""

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
            found=found_instead(folder),
            hint="write a mask for each of these frames, an empty one where no object is seen",
        )
    return frames
