"""The whole protocol on small clips: scores, files, presets, kills and bad first masks."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tiny_clips import HEIGHT, WIDTH, Pixels, label_map, write_clip, write_davis, write_labels
from vitbench.data.clips import Clip
from vitbench.engine.evaluate import evaluate
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.presets import from_preset
from vitbench.engine.run import Evaluation
from vitbench.errors import DatasetError, MissingAbility
from vitbench.models.checkpoint import resolve
from vitbench.models.factory import assemble, build, find_architecture
from vitbench.records import read_items
from vitbench_protocols.davis import Davis
from vitbench_protocols.davis.follow import Follower, shown_frames
from vitbench_protocols.davis.frames import first_labels, frame_size, mask_grid

RANDOM = "random:vit_mini_patch8_64"
SMALL: dict[str, Any] = {"resolution": 48, "size_rule": "patch"}


def options(root: Path, results: Path) -> RunOptions:
    return RunOptions(data=str(root), results=results, device="cpu", workers=2)


def run(root: Path, results: Path, preset: str | None = None, **settings: Any) -> Evaluation:
    protocol = from_preset(Davis, preset, **{**SMALL, **settings})
    return evaluate(protocol, resolve(RANDOM), options(root, results))


def values(done: Evaluation) -> dict[str, float]:
    return {score.metric: score.value or 0.0 for score in done.record.scores}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_davis(tmp_path_factory.mktemp("davis"))


@pytest.fixture(scope="module")
def done(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return run(root, tmp_path_factory.mktemp("results"), video="gif")


def test_every_metric_is_scored_with_an_interval(done: Evaluation) -> None:
    assert set(values(done)) == {metric.name for metric in Davis.metrics}
    for score in done.record.scores:
        assert score.value is not None
        assert score.low is not None
        assert score.high is not None
        assert score.low <= score.value <= score.high
    assert values(done)["jf_mean"] > 20


def test_scores_of_each_clip_are_kept_with_its_number_of_objects(done: Evaluation) -> None:
    items = read_items(done.record, done.path.parent.parent)
    assert items["ids"].tolist() == ["duo", "solo"]
    assert items["weights"].tolist() == [2, 1]
    mean = np.average(items["jf_mean"], weights=items["weights"])
    assert mean == pytest.approx(values(done)["jf_mean"])


def test_masks_are_a_submission_in_davis_layout(done: Evaluation, root: Path) -> None:
    masks = done.path.parent / done.record.artifacts["masks"]
    assert sorted(path.name for path in masks.iterdir()) == ["duo", "solo"]
    assert len(list((masks / "duo").iterdir())) == 5
    with Image.open(masks / "duo" / "00002.png") as image:
        assert (image.mode, image.size) == ("P", (WIDTH, HEIGHT))
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # type: ignore[index]
    with Image.open(masks / "duo" / "00000.png") as image:
        np.testing.assert_array_equal(np.array(image), label_map(0))


def test_every_file_that_the_record_names_is_there(done: Evaluation) -> None:
    names = set(done.record.artifacts)
    assert {"masks", "objects", "frames", "video duo", "video solo"} < names
    for path in done.record.artifacts.values():
        assert (done.path.parent / path).exists()


def test_the_drawn_frames_are_the_same_for_every_run_and_stand_beside_the_truth(
    done: Evaluation,
) -> None:
    names = set(done.record.artifacts)
    frames = {f"duo frame {index}" for index in shown_frames(5)}
    assert {name.partition(" ")[2] for name in names if name.startswith("overlay duo")} == frames
    assert {name.partition(" ")[2] for name in names if name.startswith("truth duo")} == frames
    assert shown_frames(40) == [10, 20, 30]
    assert shown_frames(2) == []


def test_the_scores_over_time_average_to_those_of_the_objects(done: Evaluation) -> None:
    with (done.path.parent / done.record.artifacts["frames"]).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["frame"] for row in rows if row["clip"] == "duo"] == ["1", "2", "3"]
    with (done.path.parent / done.record.artifacts["objects"]).open() as stream:
        objects = [float(row["j_mean"]) for row in csv.DictReader(stream) if row["clip"] == "duo"]
    over_time = np.mean([float(row["j"]) for row in rows if row["clip"] == "duo"])
    assert over_time == pytest.approx(np.mean(objects), abs=0.01)


def test_the_table_has_one_line_an_object(done: Evaluation) -> None:
    with (done.path.parent / done.record.artifacts["objects"]).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["clip"], row["object"]) for row in rows] == [
        ("duo", "1"),
        ("duo", "2"),
        ("solo", "1"),
    ]
    mean = np.mean([float(row["j_mean"]) for row in rows])
    assert mean == pytest.approx(values(done)["j_mean"])
    assert "j_decay_uint8" in rows[0]


def test_an_overlay_shows_objects_and_leaves_the_ground(done: Evaluation, root: Path) -> None:
    with Image.open(done.path.parent / done.record.artifacts["truth duo frame 1"]) as image:
        shown = np.array(image.convert("RGB")).astype(int)
    with Image.open(root / "JPEGImages/480p/duo/00001.jpg") as image:
        frame = np.array(image).astype(int)
    ground = label_map(1) == 0
    assert np.abs(shown - frame)[ground].mean() < 12  # JPEG noise
    assert np.abs(shown - frame)[~ground].mean() > 20


@pytest.mark.parametrize("video", ["mp4", "gif"])
def test_a_video_has_every_frame(root: Path, tmp_path: Path, video: Any) -> None:
    import cv2

    done = run(root, tmp_path, video=video)
    path = done.path.parent / done.record.artifacts["video duo"]
    assert path.suffix == f".{video}"
    if video == "gif":
        with Image.open(path) as image:
            assert image.n_frames == 5  # type: ignore[attr-defined]
    else:
        reader = cv2.VideoCapture(str(path))
        assert int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) == 5
        reader.release()


def test_asking_for_a_video_is_the_same_run(root: Path, tmp_path: Path) -> None:
    assert run(root, tmp_path).record.id == run(root, tmp_path, video="gif").record.id


def test_the_order_of_clips_does_not_matter(done: Evaluation, root: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned"
    shutil.copytree(root, turned)
    (turned / "ImageSets/2017/val.txt").write_text("solo\nduo\n")
    assert values(run(turned, tmp_path / "results")) == pytest.approx(values(done))


def test_the_last_frame_is_not_scored(done: Evaluation, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "davis"
    shutil.copytree(root, other)
    for path in (other / "Annotations/480p").glob("*/00004.png"):
        write_labels(np.zeros((HEIGHT, WIDTH), np.uint8), path)
    assert values(run(other, tmp_path / "results")) == values(done)


@pytest.mark.parametrize("preset", list(Davis.presets))
def test_every_preset_runs_and_is_its_own_protocol(
    preset: str, done: Evaluation, root: Path, tmp_path: Path
) -> None:
    settings = {} if preset == "crw" else {"resolution": 64}
    protocol = from_preset(Davis, preset, **settings)
    record = evaluate(protocol, resolve(RANDOM), options(root, tmp_path)).record
    assert record.status == "ok"
    assert record.protocol.spec_id != done.record.protocol.spec_id


def test_the_2021_presets_fix_the_slip_in_the_red_std() -> None:
    fixed = from_preset(Davis, "dino-2021").normalization
    assert fixed is not None
    assert fixed.std == (0.228, 0.224, 0.225)
    assert from_preset(Davis, "standard").normalization is None  # the checkpoint's own


def test_a_killed_run_goes_on_with_the_clip_it_was_in(
    root: Path, done: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow, seen = Follower.follow, []

    def killed(self: Follower, clip: Clip, folder: Path) -> Any:
        seen.append(clip.id)
        if clip.id == "solo" and seen.count("solo") == 1:
            raise KeyboardInterrupt
        return follow(self, clip, folder)

    monkeypatch.setattr(Follower, "follow", killed)
    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path, k=4)
    again = run(root, tmp_path, k=4)
    assert seen == ["duo", "solo", "solo"]
    assert again.record.status == "ok"
    monkeypatch.undo()
    assert values(run(root, tmp_path / "whole", k=4)) == values(again)


def test_progress_tells_of_clips_and_of_their_frames(root: Path, tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    reporter = Reporter(progress=lambda *words: said.append(words), log=lambda text: None)
    evaluate(Davis(**SMALL, k=3), resolve(RANDOM), options(root, tmp_path), reporter)
    assert {
        ("clips", 0, 2, "clips"),
        ("clips", 2, 2, "clips"),
        ("frames of a clip", 5, 5, "frames"),
    } <= set(said)


def test_test_dev_writes_masks_and_scores_nothing(root: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "davis"
    shutil.copytree(root, hidden)
    (hidden / "ImageSets/2017/val.txt").rename(hidden / "ImageSets/2017/test-dev.txt")
    for path in (hidden / "Annotations/480p").glob("*/*.png"):
        if path.stem != "00000":
            path.unlink()
    done = run(hidden, tmp_path / "results", split="test-dev")
    assert (done.record.status, done.record.scores) == ("ok", ())
    assert any("nothing is scored" in note for note in done.record.notes)
    masks = done.path.parent / done.record.artifacts["masks"]
    assert len(list(masks.glob("*/*.png"))) == 10


def test_davis_2016_has_one_object_a_clip(tmp_path: Path) -> None:
    masks = [label_map(n, objects=1, still=True) * 255 for n in range(4)]
    write_clip(tmp_path / "davis", "solo", masks, year="2016")
    done = run(tmp_path / "davis", tmp_path / "results", year=2016)
    assert values(done)["j_mean"] > 20
    assert done.record.dataset is not None
    assert done.record.dataset.split == "2016/val"


def test_a_folder_of_masks_has_nothing_to_follow(tmp_path: Path) -> None:
    for index in range(4):
        write_labels(label_map(index), tmp_path / "masks" / "duo" / f"{index:05d}.png")
    with pytest.raises(DatasetError, match="no frames"):
        run(tmp_path / "masks", tmp_path / "results")


def test_void_in_the_first_mask_is_refused_by_the_2021_presets_only(tmp_path: Path) -> None:
    masks = [label_map(n) for n in range(4)]
    masks[0][:2] = 255
    write_clip(tmp_path / "davis", "duo", masks)
    assert run(tmp_path / "davis", tmp_path / "results").record.status == "ok"
    with pytest.raises(DatasetError, match="void"):
        run(tmp_path / "davis", tmp_path / "results", "dino-2021")


def clip_of(mask: Pixels, tmp_path: Path) -> Clip:
    write_labels(mask, tmp_path / "00000.png")
    height, width = mask.shape
    return Clip("one", (), (tmp_path / "00000.png",), height, width, objects=int(mask.max()))


def test_an_object_too_small_for_the_grid_is_lost_by_the_2021_presets_only(tmp_path: Path) -> None:
    mask = label_map(0, objects=1)
    mask[40, 60] = 2  # one pixel
    clip = clip_of(mask, tmp_path)
    how: Any = {"void": "refuse", "shrink": "nearest"}
    assert len(first_labels(clip, (6, 8), count="grid", **how)) == 2
    assert len(first_labels(clip, (6, 8), count="mask", **how)) == 3


def test_bilinear_labels_are_shares_of_each_object(tmp_path: Path) -> None:
    clip = clip_of(label_map(0), tmp_path)
    soft = first_labels(clip, (6, 8), void="ignore", count="mask", shrink="bilinear")
    assert soft.shape == (3, 6, 8)
    np.testing.assert_allclose(soft.sum(0), 1.0, rtol=1e-6)


def test_square_frames_are_read_as_the_2021_scripts_do_and_right_by_standard() -> None:
    assert frame_size((480, 480), rule="floor-64", short_side=480, patch=16) == (480, 448)
    assert mask_grid((480, 480), rule="floor-64", short_side=480, patch=16) == (28, 30)
    assert frame_size((480, 480), rule="patch", short_side=480, patch=16) == (480, 480)
    assert mask_grid((480, 480), rule="patch", short_side=480, patch=16) == (30, 30)


@pytest.mark.parametrize(
    ("size", "patch", "expected"),
    [
        ((480, 854), 16, (480, 848)),
        ((480, 854), 8, (480, 856)),
        ((480, 854), 32, (480, 864)),
        ((910, 480), 16, (912, 480)),
        ((1080, 1920), 16, (480, 848)),
        ((128, 192), 8, (128, 192)),
    ],
)
def test_standard_rounds_sides_to_whole_patches(
    size: tuple[int, int], patch: int, expected: tuple[int, int]
) -> None:
    assert frame_size(size, rule="patch", short_side=480, patch=patch) == expected


def test_square_clips_run_under_the_2021_presets(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    write_clip(tmp_path / "davis", "square", [mask] * 4)
    settings = replace(from_preset(Davis, "dino-2021"), resolution=128)
    done = evaluate(settings, resolve(RANDOM), options(tmp_path / "davis", tmp_path / "results"))
    assert done.record.status == "ok"


def test_a_grid_of_the_networks_own_patches_changes_no_mask(root: Path, tmp_path: Path) -> None:
    own, told = run(root, tmp_path / "a"), run(root, tmp_path / "b", grid_px=8)
    assert values(own) == values(told)
    assert own.record.protocol.spec_id != told.record.protocol.spec_id


def test_networks_of_any_stride_follow_on_one_grid(root: Path, tmp_path: Path) -> None:
    protocol = from_preset(Davis, None, **{**SMALL, "grid_px": 8})
    for name in ("vit_mini_patch8_64", "eva02_tiny_patch14_224", "test_resnet"):
        backbone = build(name, seed=0)
        follower = Follower(protocol, backbone, None)  # type: ignore[arg-type]
        follower.check((HEIGHT, WIDTH))
        assert follower.grid((HEIGHT, WIDTH)) == (6, 8)
        height, width = follower.frame_size((HEIGHT, WIDTH))
        assert height % backbone.info.patch_size == width % backbone.info.patch_size == 0
    checkpoint = resolve("random:test_resnet")
    found = evaluate(protocol, checkpoint, options(root, tmp_path))
    assert values(found)["jf_mean"] > 20


def test_a_map_that_is_no_grid_of_patches_needs_one() -> None:
    backbone = assemble(find_architecture("inception_v3"))  # without weights
    protocol = from_preset(Davis, None, resolution=320)
    with pytest.raises(MissingAbility, match="has no map of whole patches: 8 x 13"):
        Follower(protocol, backbone, None).check((320, 480))  # type: ignore[arg-type]
    follower = Follower(replace(protocol, grid_px=16), backbone, None)  # type: ignore[arg-type]
    follower.check((320, 480))
