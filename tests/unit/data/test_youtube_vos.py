"""Clips whose objects appear later: read only where that is asked for."""

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_clips import label_map, write_clip
from vitbench.data.clip_reader import open_split
from vitbench.errors import DatasetError

LATE = [
    np.where(label_map(0, still=True) == 2, 0, label_map(0, still=True)),
    *[label_map(0, still=True)] * 4,
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clip(tmp_path / "davis", "late", [np.asarray(mask, np.uint8) for mask in LATE])
    return tmp_path / "davis"


def test_each_object_enters_with_its_first_mask(root: Path) -> None:
    (clip,) = (open_split(root, "youtube-vos/val")[index] for index in range(1))
    assert (clip.objects, clip.enters) == (2, (0, 1))
    assert [clip.entering(index) for index in range(3)] == [(), (2,), ()]


def test_without_asking_such_a_clip_is_refused_and_the_flag_is_named(root: Path) -> None:
    with pytest.raises(DatasetError, match="--late-objects"):
        open_split(root, "val")


def test_the_layout_of_youtube_vos_is_read(root: Path, tmp_path: Path) -> None:
    home = tmp_path / "vos" / "valid"
    for kind in ("JPEGImages", "Annotations"):
        (home / kind).mkdir(parents=True)
        (root / kind / "480p" / "late").rename(home / kind / "late")
    clips = open_split(tmp_path / "vos", "youtube-vos/val")
    assert (clips.ids, clips[0].enters, len(clips[0].frames)) == (["late"], (0, 1), 5)
    (home / "Annotations" / "late" / "00003.png").unlink()
    with pytest.raises(DatasetError, match=r"00003\.png.*missing"):
        open_split(tmp_path / "vos", "youtube-vos/val")


def test_bare_masks_are_read(root: Path) -> None:
    clips = open_split(root / "Annotations" / "480p", "youtube-vos/val")
    assert (clips[0].frames, clips[0].enters) == ((), (0, 1))
