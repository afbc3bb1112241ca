from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data.classified import ClassifiedImages
from vitbench.data.decode import CorruptImage, early_refusal, refusal
from vitbench.data.folders import open_folders
from vitbench.data.verify_images import Read, verify_images
from vitbench.errors import DatasetError


@pytest.fixture
def dataset(tmp_path: Path) -> ClassifiedImages:
    """Six images: one cut off, one of 16 bits, one too large, three whole."""
    generator = np.random.default_rng(1)
    folder = tmp_path / "val" / "ant"
    folder.mkdir(parents=True)
    for number in range(4):
        pixels = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    whole = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(folder / "4.png")
    (folder / "5.ppm").write_bytes(b"P6 20000 20000 255\n")
    return open_folders(tmp_path, "val")


@pytest.mark.parametrize("workers", [1, 4])
def test_broken_deep_and_huge_images_are_left_out_by_name(
    dataset: ClassifiedImages, workers: int
) -> None:
    told: list[tuple[str, int, int]] = []
    kept, dropped = verify_images(
        dataset,
        fingerprint=f"six {workers}",
        skip=3,
        workers=workers,
        progress=lambda *told_now: told.append(told_now),
    )
    assert dropped == ("val/ant/1.jpg", "val/ant/4.png", "val/ant/5.ppm")
    assert kept.ids == ["val/ant/0.jpg", "val/ant/2.jpg", "val/ant/3.jpg"]
    assert [kept[index].image.size for index in range(3)] == [(40, 40)] * 3
    assert told[-1] == ("checking val images", 6, 6)


def test_more_broken_images_than_may_be_skipped_are_an_error(dataset: ClassifiedImages) -> None:
    with pytest.raises(DatasetError, match="3 of 6 images can't be read") as found:
        verify_images(dataset, fingerprint="x", skip=2, workers=1, progress=lambda *_: None)
    assert "--skip-corrupt 3" in found.value.hint
    assert found.value.found.startswith("val/ant/1.jpg: image file is truncated")


def _decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of every image that is decoded from now on."""
    names: list[str] = []

    def noted(read: Read) -> CorruptImage | None:
        names.append(read()[0])
        return refusal(read)

    monkeypatch.setattr("vitbench.data.verify_images.refusal", noted)
    return names


def test_images_that_end_as_they_should_are_decoded_only_if_some_may_be_left_out(
    dataset: ClassifiedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = _decoded(monkeypatch)
    whole = dataset.subset([0, 2, 3])
    for _ in range(2):
        assert verify_images(
            whole, fingerprint="three", skip=0, workers=1, progress=lambda *_: None
        ) == (whole, ())
    assert decoded == []
    for _ in range(2):  # what was seen early does not stand for all that can be seen
        assert verify_images(
            whole, fingerprint="three", skip=1, workers=1, progress=lambda *_: None
        ) == (whole, ())
    assert len(decoded) == 3


@pytest.mark.parametrize("tail", [b"", b"\0" * 100])
def test_an_early_look_finds_what_decoding_would(
    dataset: ClassifiedImages, tmp_path: Path, tail: bytes
) -> None:
    path = tmp_path / "val" / "ant" / "0.jpg"
    path.write_bytes(path.read_bytes() + tail)
    for number in range(len(dataset)):
        early, late = (look(partial(dataset.encoded, number)) for look in (early_refusal, refusal))
        assert str(early) == str(late)
