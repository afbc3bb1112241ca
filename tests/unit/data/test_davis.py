"""Clips are checked before any work, and whatever is wrong is named by its file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images import bomb
from tests.tiny_clips import HEIGHT, WIDTH, label_map, write_clip, write_davis, write_labels
from vitbench.data.davis import open_clips
from vitbench.errors import DatasetError, DatasetNotFound

FRAME = "JPEGImages/480p/duo/00002.jpg"
MASK = "Annotations/480p/duo/00002.png"
FIRST = "Annotations/480p/duo/00000.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_davis(tmp_path / "davis")


def refused(root: Path, split: str = "val") -> str:
    with pytest.raises(DatasetError) as caught:
        open_clips(root, split)
    return str(caught.value)


def test_a_clip_has_its_frames_masks_and_objects(root: Path) -> None:
    clips = open_clips(root, "val")
    assert clips.ids == ["duo", "solo"]
    assert (clips.info.items, clips.info.kind) == (2, "clips")
    duo = clips[0]
    assert (len(duo.frames), len(duo.masks), duo.objects, duo.annotated) == (5, 5, 2, True)
    np.testing.assert_array_equal(duo.mask(3), label_map(3))
    assert duo.frame(0).shape == (HEIGHT, WIDTH, 3)
    assert tuple(duo.frame(0)[10, 10]) == (30, 30, 200)  # BGR of the first object


def test_a_missing_mask_is_named(root: Path) -> None:
    (root / MASK).unlink()
    assert MASK in refused(root)


def test_a_missing_frame_is_named(root: Path) -> None:
    (root / FRAME).unlink()
    assert FRAME in refused(root)


def test_a_clip_without_frames_is_named(root: Path) -> None:
    shutil.rmtree(root / "JPEGImages/480p/duo")
    assert "clip 'duo' has too few frames" in refused(root)


def test_other_resolutions_are_told_where_480p_is_missing(root: Path) -> None:
    (root / "JPEGImages/480p").rename(root / "JPEGImages/Full-Resolution")
    assert "resolutions Full-Resolution" in refused(root)


def test_frames_above_480p_are_the_wrong_resolution(tmp_path: Path) -> None:
    write_clip(tmp_path, "large", [np.eye(500, 600, dtype=np.uint8)] * 3)
    assert "wrong resolution" in refused(tmp_path)


def test_a_frame_of_another_size_is_named(root: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT + 2)).save(root / FRAME, format="PNG")
    text = refused(root)
    assert FRAME in text
    assert "50x64" in text


def test_a_mask_of_another_size_is_named(root: Path) -> None:
    write_labels(np.ones((HEIGHT, WIDTH - 4), np.uint8), root / MASK)
    text = refused(root)
    assert MASK in text
    assert "48x60" in text


def test_a_mask_of_colors_is_no_label_map(root: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / MASK)
    text = refused(root)
    assert MASK in text
    assert "mode RGB" in text


def test_an_object_that_the_first_frame_does_not_show_is_refused(root: Path) -> None:
    write_labels(np.full((HEIGHT, WIDTH), 3, np.uint8), root / MASK)
    text = refused(root)
    assert MASK in text
    assert "label 3" in text


def test_an_empty_first_mask_is_refused(root: Path) -> None:
    write_labels(np.zeros((HEIGHT, WIDTH), np.uint8), root / FIRST)
    text = refused(root)
    assert FIRST in text
    assert "empty" in text


def test_a_truncated_frame_is_named(root: Path) -> None:
    path = root / FRAME
    Image.effect_noise((WIDTH, HEIGHT), 50).convert("RGB").save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-200])
    assert FRAME in refused(root)


def test_a_broken_mask_is_named(root: Path) -> None:
    (root / MASK).write_text("no PNG")
    assert MASK in refused(root)


def test_void_is_no_object(root: Path) -> None:
    labels = label_map(2)
    labels[:3] = 255
    write_labels(labels, root / MASK)
    assert open_clips(root, "val")[0].objects == 2


def test_an_unknown_split_names_the_known_ones(root: Path) -> None:
    with pytest.raises(DatasetNotFound, match=r"ImageSets/2017/val\.txt"):
        open_clips(root, "train")


def test_a_list_that_leaves_its_folder_is_refused(root: Path) -> None:
    (root / "ImageSets/2017/val.txt").write_text("../duo\n")
    assert "'../duo'" in refused(root)


def test_test_dev_needs_the_first_masks_only(root: Path) -> None:
    shutil.copy(root / "ImageSets/2017/val.txt", root / "ImageSets/2017/test-dev.txt")
    for path in (root / "Annotations/480p").glob("*/*.png"):
        if path.stem != "00000":
            path.unlink()
    clip = open_clips(root, "test-dev")[0]
    assert (len(clip.frames), len(clip.masks), clip.annotated) == (5, 1, False)


def test_masks_of_0_and_255_are_read_by_the_2016_split(tmp_path: Path) -> None:
    mask = label_map(0, objects=1) * 255
    write_clip(tmp_path, "solo", [mask] * 3, year="2016")
    clip = open_clips(tmp_path, "2016/val")[0]
    assert clip.objects == 1
    np.testing.assert_array_equal(np.unique(clip.mask(1)), [0, 1])


def test_the_list_of_davis_2016_itself_is_read(tmp_path: Path) -> None:
    write_clip(tmp_path, "solo", [label_map(0, objects=1) * 255] * 3, year="2016")
    listed = tmp_path / "ImageSets/480p/val.txt"
    listed.parent.mkdir()
    frames = [f"/JPEGImages/480p/solo/{n:05d}.jpg" for n in range(3)]
    listed.write_text("".join(f"{x} {x.replace('JPEGImages', 'Annotations')}\n" for x in frames))
    shutil.rmtree(tmp_path / "ImageSets/2016")
    assert open_clips(tmp_path, "2016/val").ids == ["solo"]


def test_masks_of_0_and_255_are_told_apart_from_empty_ones(tmp_path: Path) -> None:
    write_clip(tmp_path, "solo", [label_map(0, objects=1) * 255] * 3)
    assert "--year 2016" in refused(tmp_path)


def test_numbered_objects_are_not_binary(tmp_path: Path) -> None:
    write_clip(tmp_path, "duo", [label_map(0)] * 3, year="2016")
    assert "not binary" in refused(tmp_path, "2016/val")


def test_a_folder_of_masks_opens_without_frames(tmp_path: Path) -> None:
    for index in range(4):
        write_labels(label_map(index), tmp_path / "duo" / f"{index:05d}.png")
    clip = open_clips(tmp_path, "val")[0]
    assert (clip.id, clip.frames, len(clip.masks), clip.objects) == ("duo", (), 4, 2)


def test_a_folder_without_clips_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="ImageSets"):
        open_clips(tmp_path, "val")


def test_a_frame_that_exif_turns_is_named(root: Path) -> None:
    image = Image.new("RGB", (WIDTH, HEIGHT))
    tag = image.getexif()
    tag[0x0112] = 6
    image.save(root / FRAME, format="JPEG", exif=tag)
    text = refused(root)
    assert FRAME in text
    assert "turned by its EXIF tag" in text


def deep_png(path: Path, channels: int) -> None:
    import cv2

    pixels = np.full((HEIGHT, WIDTH, channels), 40_000, np.uint16)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_of_16_bits_are_refused(root: Path, channels: int) -> None:
    deep_png(root / FRAME, channels)
    text = refused(root)
    assert FRAME in text
    assert "more than 8 bits" in text


def test_gray_frames_are_read_as_three_equal_channels(root: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT), 77).save(root / FRAME, format="JPEG")
    frame = open_clips(root, "val")[0].frame(2)
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(frame.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("place", [FRAME, MASK])
def test_an_image_that_claims_too_many_pixels_is_named(root: Path, place: str) -> None:
    (root / place).write_bytes(bomb(60_000))
    assert place in refused(root)


@pytest.mark.parametrize(
    "content",
    [b"caf\xe9\n", b"a\0b\n", b".hidden\n", b"x" * 300 + b"\n", b"/a/../b/0.jpg\n", b"\n"],
)
def test_a_list_that_names_no_clips_is_named(root: Path, content: bytes) -> None:
    (root / "ImageSets/2017/val.txt").write_bytes(content)
    refused(root)


def test_a_list_with_a_byte_order_mark_is_read(root: Path) -> None:
    (root / "ImageSets/2017/val.txt").write_bytes(b"\xef\xbb\xbfduo\r\nsolo\r\n")
    assert open_clips(root, "val").ids == ["duo", "solo"]


@pytest.mark.parametrize("count", [0, 1])
def test_clips_of_no_frame_and_of_one_are_named(root: Path, count: int) -> None:
    for path in sorted((root / "JPEGImages/480p/duo").iterdir())[count:]:
        path.unlink()
    assert "clip 'duo' has too few frames" in refused(root)
