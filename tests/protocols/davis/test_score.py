"""`vitbench score davis`: anybody's masks, right ones, wrong ones, ones that can't be scored."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tiny_clips import HEIGHT, WIDTH, label_map, write_clip, write_davis, write_labels
from vitbench.cli.main import main
from vitbench.engine.options import RunOptions
from vitbench.engine.run import Evaluation
from vitbench.engine.score import score
from vitbench.errors import DatasetError, SettingError
from vitbench_protocols.davis.score import DavisMasks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_davis(tmp_path / "davis")


@pytest.fixture
def predicted(root: Path, tmp_path: Path) -> Path:
    """Return a copy of the truth."""
    return Path(shutil.copytree(root / "Annotations/480p", tmp_path / "predicted"))


def run(predicted: Path, root: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data=str(root), results=predicted.parent / "results", workers=2)
    return score(DavisMasks(**settings), predicted, options)


def values(done: Evaluation) -> dict[str, float | None]:
    return {found.metric: found.value for found in done.record.scores}


def refused(predicted: Path, root: Path, **settings: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        run(predicted, root, **settings)
    return str(caught.value)


def test_the_truth_scores_100(predicted: Path, root: Path) -> None:
    found = values(run(predicted, root))
    assert found == {
        "jf_mean": 100.0,
        "j_mean": 100.0,
        "j_recall": 100.0,
        "j_decay": 0.0,
        "f_mean": 100.0,
        "f_recall": 100.0,
        "f_decay": 0.0,
    }


def test_empty_masks_score_0(predicted: Path, root: Path) -> None:
    for path in predicted.glob("*/*.png"):
        write_labels(np.zeros((HEIGHT, WIDTH), np.uint8), path)
    assert values(run(predicted, root))["jf_mean"] == 0.0


def test_the_first_and_the_last_frame_are_not_scored(predicted: Path, root: Path) -> None:
    for name in ("00000.png", "00004.png"):
        (predicted / "duo" / name).unlink()
    assert values(run(predicted, root))["jf_mean"] == 100.0


def test_an_object_that_is_never_predicted_scores_0(predicted: Path, root: Path) -> None:
    for path in predicted.glob("duo/*.png"):
        write_labels(label_map(int(path.stem), objects=1), path)
    found = values(run(predicted, root))
    assert found["j_mean"] == pytest.approx(100 * 2 / 3)


def test_changed_masks_are_scored_anew(predicted: Path, root: Path) -> None:
    before = run(predicted, root)
    for path in predicted.glob("duo/*.png"):
        write_labels(label_map(0), path)
    after = run(predicted, root)
    assert after.record.id != before.record.id
    assert values(after)["jf_mean"] != 100.0


def test_another_folder_of_masks_can_be_the_truth(predicted: Path, root: Path) -> None:
    done = run(predicted, Path("nowhere"), reference=root / "Annotations/480p")
    assert values(done)["jf_mean"] == 100.0


def test_a_missing_mask_is_named(predicted: Path, root: Path) -> None:
    (predicted / "duo/00002.png").unlink()
    assert "duo/00002.png" in refused(predicted, root)


def test_a_missing_clip_is_named(predicted: Path, root: Path) -> None:
    shutil.rmtree(predicted / "solo")
    text = refused(predicted, root)
    assert "no folder of the clip 'solo'" in text
    assert "1 of 2 clips missing; there lie duo" in text


def test_colors_are_no_labels(predicted: Path, root: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(predicted / "duo/00003.png")
    text = refused(predicted, root)
    assert "duo/00003.png" in text
    assert "mode RGB" in text


def test_a_mask_of_the_wrong_resolution_is_named(predicted: Path, root: Path) -> None:
    write_labels(np.ones((2 * HEIGHT, 2 * WIDTH), np.uint8), predicted / "duo/00003.png")
    text = refused(predicted, root)
    assert "duo/00003.png" in text
    assert "96x128" in text


def test_more_objects_than_there_are_are_refused_or_dropped(predicted: Path, root: Path) -> None:
    path = predicted / "solo/00002.png"
    labels = label_map(2, objects=1, still=True)
    labels[:4, :4] = 7
    write_labels(labels, path)
    text = refused(predicted, root)
    assert "solo/00002.png" in text
    assert "label 7" in text
    assert values(run(predicted, root, extra_objects="drop"))["jf_mean"] == 100.0


def test_void_of_the_truth_is_background(predicted: Path, root: Path) -> None:
    labels = label_map(2)
    labels[:4, :] = 255
    write_labels(labels, root / "Annotations/480p/duo/00002.png")
    assert values(run(predicted, root))["jf_mean"] == 100.0


def test_masks_of_davis_2016_are_scored_in_both_forms(tmp_path: Path) -> None:
    masks = [label_map(n, objects=1) for n in range(4)]
    root = tmp_path / "davis"
    write_clip(root, "solo", [mask * 255 for mask in masks], year="2016")
    for name, factor in (("ones", 1), ("bytes", 255)):
        for index, mask in enumerate(masks):
            write_labels(mask * factor, tmp_path / name / "solo" / f"{index:05d}.png")
        assert values(run(tmp_path / name, root, year=2016))["jf_mean"] == 100.0


def gray_results(tmp_path: Path, images: list[Image.Image]) -> tuple[Path, Path]:
    """Write a DAVIS-2016 folder of one clip, and masks as given; return both."""
    root = tmp_path / "davis"
    masks = [label_map(n, objects=1) * 255 for n in range(len(images))]
    write_clip(root, "solo", masks, year="2016")
    (tmp_path / "gray/solo").mkdir(parents=True)
    for index, image in enumerate(images):
        image.save(tmp_path / f"gray/solo/{index:05d}.png")
    return root, tmp_path / "gray"


def test_gray_probabilities_are_refused_until_there_is_a_threshold(tmp_path: Path) -> None:
    images = [
        Image.fromarray((label_map(n, objects=1) * 150 + 40).astype(np.uint8)) for n in range(4)
    ]
    root, gray = gray_results(tmp_path, images)
    text = refused(gray, root, year=2016)
    assert "gray/solo/00001.png' is not binary" in text
    assert "--threshold 128" in text
    assert values(run(gray, root, year=2016, threshold=128))["jf_mean"] == 100.0
    assert (values(run(gray, root, year=2016, threshold=20))["jf_mean"] or 0) < 50


def test_a_threshold_is_for_2016_alone(predicted: Path, root: Path) -> None:
    with pytest.raises(SettingError, match="--year 2016"):
        run(predicted, root, threshold=128)


def test_masks_of_one_bit_are_read(tmp_path: Path) -> None:
    images = [Image.fromarray(label_map(n, objects=1) > 0) for n in range(4)]
    root, bits = gray_results(tmp_path, images)
    assert values(run(bits, root, year=2016))["jf_mean"] == 100.0


def test_masks_stored_as_jpeg_are_refused(predicted: Path, root: Path) -> None:
    path = predicted / "duo/00002.png"
    Image.open(path).convert("L").save(path, format="JPEG")
    assert "stored with losses" in refused(predicted, root)
    path.rename(path.with_suffix(".jpg"))
    text = refused(predicted, root)
    assert "duo/00002.png" in text
    assert "files ending in .jpg" in text


def test_smoothed_edges_of_object_numbers_are_refused(predicted: Path, root: Path) -> None:
    path = predicted / "solo/00002.png"
    smooth = Image.fromarray(label_map(2, objects=1, still=True) * 255).resize((32, 24))
    smooth.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR).save(path)
    assert "solo/00002.png" in refused(predicted, root)


def test_sixteen_bits_are_no_object_numbers(predicted: Path, root: Path) -> None:
    Image.fromarray(np.ones((HEIGHT, WIDTH), np.uint16)).save(predicted / "duo/00002.png")
    assert "16 bits" in refused(predicted, root)


def test_masks_in_a_deeper_folder_are_found_and_said(predicted: Path, root: Path) -> None:
    outer = predicted.parent / "unpacked"
    shutil.move(predicted, outer / "results/480p")
    (outer / "__MACOSX").mkdir()
    done = run(outer, root)
    assert values(done)["jf_mean"] == 100.0
    assert "the masks are those in results/480p" in done.record.notes


def test_two_sets_of_masks_are_not_chosen_among(predicted: Path, root: Path) -> None:
    outer = predicted.parent / "both"
    shutil.copytree(predicted, outer / "one")
    shutil.move(predicted, outer / "two")
    assert "one, two" in refused(outer, root)


@pytest.mark.parametrize("inside", ["", "results/480p"])
def test_a_zip_file_is_scored_as_its_folder(predicted: Path, root: Path, inside: str) -> None:
    outer = predicted.parent / "outer"
    shutil.copytree(predicted, outer / inside)
    packed = Path(shutil.make_archive(str(predicted.parent / "masks"), "zip", outer))
    assert values(run(packed, root)) == values(run(predicted, root))


def test_a_zip_file_writes_nothing_outside(predicted: Path, root: Path) -> None:
    packed = Path(shutil.make_archive(str(predicted.parent / "masks"), "zip", predicted))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../../duo/escaped.png", b"no mask")
    assert values(run(packed, root))["jf_mean"] == 100.0
    assert not list(predicted.parent.rglob("escaped.png"))


def test_a_broken_zip_file_is_named(predicted: Path, root: Path) -> None:
    packed = Path(shutil.make_archive(str(predicted.parent / "masks"), "zip", predicted))
    content = bytearray(packed.read_bytes())
    content[60:90] = b"x" * 30
    packed.write_bytes(content)
    assert "can't be read" in refused(packed, root)


def test_another_archive_is_to_be_unpacked(predicted: Path, root: Path) -> None:
    packed = Path(shutil.make_archive(str(predicted.parent / "masks"), "tar", predicted))
    assert "a file (.tar) that is no zip file" in refused(packed, root)


def test_files_with_a_leading_dot_are_no_masks(predicted: Path, root: Path) -> None:
    for folder in (predicted / "duo", root / "Annotations/480p/duo", root / "JPEGImages/480p/duo"):
        for name in ("._00002.png", "._00002.jpg"):
            (folder / name).write_bytes(b"Mac OS X")
    assert values(run(predicted, root))["jf_mean"] == 100.0


def test_objects_under_other_numbers_are_scored_as_they_are_and_said(
    predicted: Path, root: Path
) -> None:
    assert not run(predicted, root).record.notes
    for path in predicted.glob("duo/*.png"):
        write_labels(np.array([0, 2, 1], np.uint8)[label_map(int(path.stem))], path)
    done = run(predicted, root)
    assert (values(done)["j_mean"] or 0) < 50
    assert "clip duo: other object numbers fit far better (2 is 1, 1 is 2)" in done.record.notes[0]


def test_the_command_scores_against_reference_masks(
    predicted: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", "davis", predicted, "--reference", root / "Annotations/480p"]
    words += ["--results", predicted.parent / "results"]
    assert main([str(word) for word in words]) == 0
    assert "100.00%" in capsys.readouterr().out
