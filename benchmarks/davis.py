"""DAVIS: features, propagation, J&F and a whole clip, ours against the official scripts.

python benchmarks/davis.py --data DAVIS_ROOT --clip blackswan --peer-dino DIR --peer-davis DIR
python benchmarks/davis.py --data DAVIS_ROOT --clip blackswan --arch vit_small_patch8_224 --frames 9

Both sides follow the same frames with the same random weights under `dino-2021`, in one process and
in turns; the best time of each counts. Without peers: ours alone, and the process's peak memory.
"""

import argparse
import importlib
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.stopwatch import product_speed
from vitbench.api import Outcome
from vitbench.data.clips import Clip, ClipDataset
from vitbench.data.davis import open_clips
from vitbench.engine.presets import from_preset
from vitbench.models.timm_backbone import TimmBackbone, build_backbone
from vitbench_protocols.davis import Davis
from vitbench_protocols.davis.follow import Follower
from vitbench_protocols.davis.frames import first_labels, frame_size, mask_grid
from vitbench_protocols.davis.propagate import Propagator, Span, outside_window
from vitbench_protocols.davis.score import DavisMasks

FEATURES, BF16, PROPAGATION, JF, WHOLE = "features", "features, bf16", "propagation", "J&F", "whole"
PRESET = from_preset(Davis, "dino-2021")
Times = Mapping[str, float]  # seconds of each part


@dataclass
class Ours:
    """Our side."""

    clips: ClipDataset  # of one clip
    clip: Clip
    backbone: TimmBackbone
    device: torch.device
    masks: Path

    def times(self) -> Times:
        """Measure each part once."""
        patches, features = self._timed(lambda: self._features(bf16=False))
        _, propagation = self._timed(lambda: self._propagate(patches))
        _, whole = self._timed(lambda: self._follower().follow(self.clip, self.masks))
        _, scoring = self._timed(self.score)  # part of the whole, in threads behind the model
        _, bf16 = self._timed(lambda: self._features(bf16=True))
        found = (features, bf16, propagation, scoring, whole)
        return dict(zip((FEATURES, BF16, PROPAGATION, JF, WHOLE), found, strict=True))

    @property
    def grid(self) -> tuple[int, int]:
        """Tokens of a frame, (h, w)."""
        height, width = self._sized(frame_size)
        patch = self.backbone.info.patch_size
        return height // patch, width // patch

    def score(self) -> Outcome:
        """Score the masks on disk, as `vitbench score davis` does."""
        return DavisMasks().run(self.masks.parent, self._context(bf16=False))

    def _features(self, *, bf16: bool) -> list[Tensor]:
        with ThreadPoolExecutor(2) as pool:
            size = self._sized(frame_size)
            return list(self._follower(bf16=bf16).patches(self.clip, size, pool))

    def _propagate(self, patches: list[Tensor]) -> None:
        labels = first_labels(
            self.clip, self._sized(mask_grid), void="refuse", count="grid", shrink="nearest"
        )
        propagator = Propagator(PRESET.rules, patches[0], labels.to(self.device))
        for frame in patches[1:]:
            propagator.step(frame)

    def _sized(self, rule: Callable[..., tuple[int, int]]) -> tuple[int, int]:
        size, patch = (self.clip.height, self.clip.width), self.backbone.info.patch_size
        return rule(size, rule=PRESET.size_rule, short_side=PRESET.resolution, patch=patch)

    def _follower(self, *, bf16: bool = False) -> Follower:
        return Follower(PRESET, self.backbone, self._context(bf16=bf16))

    def _context(self, *, bf16: bool) -> Any:
        return SimpleNamespace(
            device=self.device,
            normalization=PRESET.normalization,
            workers=2,
            batch_size=None,
            output=self.masks.parent.parent,
            autocast=lambda: torch.autocast(self.device.type, torch.bfloat16, enabled=bf16),
            dataset=lambda _: self.clips,
            progress=lambda *_: None,
        )

    def _timed(self, work: Callable[[], Any]) -> tuple[Any, float]:
        start = time.perf_counter()
        with torch.inference_mode():
            found = work()
        _wait(self.device)
        return found, time.perf_counter() - start


@dataclass
class Official:
    """The published scripts' side; its parts are timed inside its whole."""

    root: Path
    clip: Clip
    script: Any  # facebookresearch/dino, eval_video_segmentation.py
    evaluator: Any  # davisvideochallenge/davis2017-evaluation, davis2017/evaluation.py
    model: Any
    device: torch.device
    output: Path

    def times(self) -> Times:
        """Measure each part once."""
        extracting: list[float] = []
        propagating: list[float] = []
        start = time.perf_counter()
        with (
            self._timed("extract_feature", extracting),
            self._timed("label_propagation", propagating),
        ):
            self._follow()
        middle = time.perf_counter()
        self.score()
        end = time.perf_counter()
        # all frames but the first are extracted inside the propagation
        spent = (sum(extracting), sum(propagating) - sum(extracting[1:]), end - middle, end - start)
        return dict(zip((FEATURES, PROPAGATION, JF, WHOLE), spent, strict=True))

    def score(self) -> Any:
        """Score the masks on disk."""
        judge = self.evaluator.DAVISEvaluation(
            str(self.root), task="semi-supervised", gt_set="val", sequences=self.clip.id
        )
        return judge.evaluate(str(self.output))

    def _follow(self) -> None:
        script, patch = self.script, self.script.args.patch_size
        frames = script.read_frame_list(str(self.clip.frames[0].parent))
        first, original = script.read_seg(str(self.clip.masks[0]), patch)
        script.eval_video_tracking_davis(
            script.args, self.model, frames, self.clip.id, first, original, np.zeros(768, np.uint8)
        )

    @contextmanager
    def _timed(self, name: str, spent: list[float]) -> Iterator[None]:
        function = getattr(self.script, name)

        @wraps(function)
        def timed(*words: Any, **named: Any) -> Any:
            _wait(self.device)
            start = time.perf_counter()
            found = function(*words, **named)
            _wait(self.device)
            spent.append(time.perf_counter() - start)
            return found

        with mock.patch.object(self.script, name, timed):
            yield


def official(ours: Ours, root: Path, dino: Path, davis: Path, output: Path) -> Official:
    """Load the published scripts around the same weights; without a GPU their `.cuda()` is void."""
    if ours.device.type == "cpu":
        same: Any = lambda self, *_, **__: self  # noqa: E731
        torch.Tensor.cuda = torch.nn.Module.cuda = same  # type: ignore[method-assign]
    _offer_disk()
    sys.path[:0] = [str(dino), str(davis)]
    script: Any = importlib.import_module("eval_video_segmentation")
    evaluator: Any = importlib.import_module("davis2017.evaluation")
    info = ours.backbone.info
    script.args = SimpleNamespace(output_dir=str(output), patch_size=info.patch_size)
    own = {"n_last_frames": PRESET.context_frames, "topk": PRESET.k}
    vars(script.args).update(own, size_mask_neighborhood=PRESET.radius)
    name = {192: "vit_tiny", 384: "vit_small", 768: "vit_base"}[info.embed_dim]
    model = getattr(script.vits, name)(patch_size=info.patch_size, num_classes=0)
    model.load_state_dict(ours.backbone.state_dict())
    model = model.to(ours.device).eval()
    return Official(root, ours.clip, script, evaluator, model, ours.device, output)


def _offer_disk() -> None:
    """Stand in for the one function that the evaluator takes from scikit-image."""
    try:
        importlib.import_module("skimage.morphology")
    except ImportError:
        morphology: Any = ModuleType("skimage.morphology")

        def disk(radius: float) -> Any:
            offsets = np.arange(-int(radius), int(radius) + 1)
            return (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)

        morphology.disk = disk
        sys.modules.update({"skimage": ModuleType("skimage"), "skimage.morphology": morphology})


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def shortened(root: Path, name: str, frames: int, folder: Path) -> Path:
    """Link the first frames of one clip into a DAVIS folder of its own."""
    for kind in ("JPEGImages", "Annotations"):
        target = folder / kind / "480p" / name
        target.mkdir(parents=True)
        for path in sorted((root / kind / "480p" / name).iterdir())[:frames]:
            (target / path.name).symlink_to(path.resolve())
    (folder / "ImageSets" / "2017").mkdir(parents=True)
    (folder / "ImageSets" / "2017" / "val.txt").write_text(f"{name}\n")
    return folder


def floors(ours: Ours, frames: int) -> dict[str, float]:
    """Return the seconds that the multiplications alone take at the speed of a large product."""
    rate = product_speed(ours.device)
    info, (h, w) = ours.backbone.info, ours.grid
    tokens, width = h * w + info.prefix_tokens, info.embed_dim
    block = 24 * tokens * width**2 + 4 * tokens**2 * width  # four linear maps of 12 D^2, attention
    sides = (Span(range(side), range(side)) for side in (w, h))
    windowed = int((~outside_window(PRESET.rules, *sides)).sum())
    step = 2 * windowed * width * (1 + PRESET.context_frames)
    print(f"a large product: {rate / 1e9:.0f} GFLOP/s")
    return {FEATURES: frames * info.depth * block / rate, PROPAGATION: frames * step / rate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a DAVIS folder")
    parser.add_argument("--clip", required=True)
    parser.add_argument("--frames", type=int, default=20, help="first frames of the clip")
    parser.add_argument("--arch", default="vit_small_patch16_224")
    parser.add_argument("--device", type=torch.device, default="cpu")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--peer-dino", type=Path, help="a checkout of facebookresearch/dino")
    parser.add_argument("--peer-davis", type=Path, help="a checkout of davis2017-evaluation")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = shortened(chosen.data, chosen.clip, chosen.frames, folder / "davis")
        clips = open_clips(root, "val")
        clip = clips[0]
        backbone = build_backbone(chosen.arch, seed=0).to(chosen.device).eval()
        ours = Ours(clips, clip, backbone, chosen.device, folder / "ours" / clip.id)
        peers = chosen.peer_dino, chosen.peer_davis
        peer = official(ours, root, *peers, folder / "official") if all(peers) else None
        mine: dict[str, float] = {}
        theirs: dict[str, float] = {}
        for _ in range(chosen.repeats):
            for side, times in ((ours, mine), (peer, theirs)):
                for part, seconds in side.times().items() if side else ():
                    times[part] = min(seconds, times.get(part, math.inf))
        report(ours, peer, mine, theirs)


def report(ours: Ours, peer: Official | None, mine: Times, theirs: Times) -> None:
    """Print the times, the ratios and how equal the results are."""
    print(
        f"{ours.backbone.info.arch}, {ours.clip.id}, {len(ours.clip.frames)} frames, {ours.device}"
    )
    floor = floors(ours, len(ours.clip.frames))
    for part, seconds in mine.items():
        other = theirs.get(FEATURES if part == BF16 else part)
        ratio = f"  official {other:7.2f} s  {other / seconds:5.2f} x" if other else ""
        above = f"  {seconds / floor[part]:.2f} x the FLOP floor" if part in floor else ""
        print(f"{part:15} {seconds:7.2f} s{ratio}{above}")
    if peer is None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(f"peak memory {peak:.2f} GB")
        return
    judged = peer.score()
    found = {score.metric: score.value for score in ours.score().scores}
    for letter in "JF":
        official_mean = 100 * np.mean(judged[letter]["M"])
        print(f"{letter} {found[f'{letter.lower()}_mean']:.6f}, official {official_mean:.6f}")


if __name__ == "__main__":
    main()
