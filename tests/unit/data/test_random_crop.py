from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from vitbench.data.folders import open_folders
from vitbench.data.kinds import Sample
from vitbench.data.random_crop import RandomCrops
from vitbench.data.transforms import to_pixels


def crops(folders: Path, *, seed: int = 0, epoch: int = 0) -> RandomCrops:
    return RandomCrops(open_folders(folders, "train"), 24, (0.08, 1.0), seed, epoch)


def test_a_fast_crop_is_within_one_level_of_the_exact_one(folders: Path) -> None:
    fast, exact = replace(crops(folders), resampling="fast"), crops(folders)
    for index in range(len(exact)):
        found, expected = (np.asarray(each[index].image, np.int64) for each in (fast, exact))
        assert np.abs(found - expected).max() <= 1


def test_an_address_gives_the_same_crop_and_another_one_gives_another(folders: Path) -> None:
    first = to_pixels(crops(folders)[5].image)
    assert first.shape == (3, 24, 24)
    assert torch.equal(first, to_pixels(crops(folders)[5].image))
    for other in (crops(folders, epoch=1)[5], crops(folders, seed=1)[5], crops(folders)[6]):
        assert not torch.equal(first, to_pixels(other.image))


def test_id_and_class_stay_with_the_image(folders: Path) -> None:
    whole, cropped = open_folders(folders, "train"), crops(folders)
    assert len(cropped) == len(whole)
    assert (cropped[7].id, cropped[7].target) == (whole[7].id, whole[7].target)


class Ramps:
    """One image whose color says where a pixel is; its crops tell their boxes."""

    ids = ("ramp",) * 400

    def __init__(self) -> None:
        y, x = np.mgrid[:120, :160].astype(np.uint8)
        self.image = Image.fromarray(np.stack([y, x, x], axis=-1))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample[int]:
        return Sample(self.ids[index], self.image, 0)


def spans(images: list[Image.Image]) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Return the middle and the signed width and height of each crop in pixels, (n, 4)."""
    pixels = np.stack([np.asarray(image, dtype=np.float64) for image in images])
    rows, columns = pixels[..., 0].mean(axis=2), pixels[..., 1].mean(axis=1)
    return np.stack(
        [
            rows.mean(axis=1),
            columns.mean(axis=1),
            np.ptp(rows, axis=1),
            columns[:, -1] - columns[:, 0],
        ],
        axis=1,
    )


def test_boxes_and_flips_are_distributed_as_torchvisions() -> None:
    ramps = Ramps()
    ours = RandomCrops(ramps, 16, (0.08, 1.0), 0, 0)
    found = spans([ours[index].image for index in range(400)])
    torch.manual_seed(0)
    reference = RandomResizedCrop(16)
    expected = spans([reference(ramps.image) for _ in range(400)])
    assert 0.4 < (found[:, 3] < 0).mean() < 0.6  # flipped
    found[:, 3] = np.abs(found[:, 3])
    # 400 draws: the standard error of a mean is a twentieth of the spread.
    spread = expected.std(axis=0)
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) < 0.25 * spread).all()
    assert (np.abs(found.std(axis=0) / spread - 1) < 0.25).all()
