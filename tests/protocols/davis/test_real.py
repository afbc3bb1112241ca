"""Real videos: the official scripts' values on the same files (fractions, measured on a CPU)."""

import shutil
from pathlib import Path

import pytest

from vitbench.data.clips import Clip
from vitbench.engine.evaluate import evaluate
from vitbench.engine.options import RunOptions
from vitbench.engine.presets import from_preset
from vitbench.engine.score import score
from vitbench.models.checkpoint import resolve
from vitbench.records import read_items
from vitbench_protocols.davis import Davis
from vitbench_protocols.davis.frames import first_labels
from vitbench_protocols.davis.score import DavisMasks

pytestmark = pytest.mark.data

WEIGHTS = "weights/vit_tiny_patch16_224_in1k_supervised.pth"
# 0.1 points would be a fault: 0.001 was the largest difference on the eight clips.
SCOOTER = {"j_mean": 59.684041522515, "f_mean": 45.275188976843}
# osvos as the truth, rvos as prediction, labels above the true number of objects dropped
MULTI = {
    "jf_mean": 19.918270370048,
    "j_mean": 13.459433764983,
    "j_recall": 10.745956560727,
    "j_decay": 4.978856199072,
    "f_mean": 26.377106975112,
    "f_recall": 19.194752936485,
    "f_decay": 7.495517803008,
}
GOLD_FISH = {"j_mean": 2.0589806044751, "f_mean": 14.4755698149612}  # over its five objects


def test_a_real_clip_scores_what_the_official_scripts_say(real_data: Path, tmp_path: Path) -> None:
    root, name = tmp_path / "davis", "scooter-black"
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(real_data / "davis" / kind / "480p" / name, root / kind / "480p" / name)
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text(f"{name}\n")
    checkpoint = resolve(str(real_data / WEIGHTS), arch="vit_tiny_patch16_224")
    options = RunOptions(data=str(root), results=tmp_path / "results", device="cpu")
    record = evaluate(from_preset(Davis, "dino-2021"), checkpoint, options).record
    found = {score.metric: score.value for score in record.scores}
    for metric, value in SCOOTER.items():
        assert found[metric] == pytest.approx(value, abs=0.1)
    assert record.subject.std == (0.228, 0.224, 0.225)


def test_masks_of_many_objects_score_what_the_official_evaluator_says(
    real_data: Path, tmp_path: Path
) -> None:
    masks = real_data / "davis_results"
    scorer = DavisMasks(reference=masks / "osvos", extra_objects="drop")
    done = score(scorer, masks / "rvos", RunOptions(results=tmp_path))
    found = {score.metric: score.value for score in done.record.scores}
    assert found == pytest.approx(MULTI, abs=1e-7)
    items = read_items(done.record, tmp_path)
    fish = items["ids"].tolist().index("gold-fish")
    assert items["weights"][fish] == 5
    for metric, value in GOLD_FISH.items():
        assert items[metric][fish] == pytest.approx(value, abs=1e-7)


def test_first_masks_of_up_to_seven_objects_are_read(real_data: Path) -> None:
    masks = real_data / "davis_multiobject_firstframes/Annotations/480p"
    counts = []
    for path in sorted(masks.glob("*/00000.png")):
        clip = Clip(path.parent.name, (), (path,), 0, 0, objects=0)
        labels = first_labels(clip, (30, 52), void="ignore", count="grid", shrink="nearest")
        assert labels.sum(0).eq(1).all()
        counts.append(len(labels) - 1)
    assert len(counts) == 30
    assert max(counts) == 7
