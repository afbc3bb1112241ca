"""Decoding of a whole batch on a device: here the device is the CPU, whose decoder is as strict."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.data.decode import CorruptImage, Decoded, decode
from vitbench.data.multicrop import MultiCrop, draw_crops
from vitbench.data.nvjpeg import Waiting, check_nvjpeg, decode_batch, wait_for_batch
from vitbench.data.packed_augment import augment_packed
from vitbench.data.sizes import Pixels
from vitbench.errors import SettingError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
KINDS = ("JPEG", "PNG", "JPEG", "JPEG")


@pytest.fixture
def files(photo: Callable[[int, int, int], Pixels]) -> list[bytes]:
    found = []
    for number, kind in enumerate(KINDS):
        stream = BytesIO()
        Image.fromarray(photo(40 + number, 60, number)).save(stream, kind)
        found.append(stream.getvalue())
    return found


def read(files: list[bytes]) -> list[Waiting | Decoded]:
    return [wait_for_batch(str(number), data) for number, data in enumerate(files)]


def test_jpegs_wait_and_all_come_back_in_their_order(files: list[bytes]) -> None:
    waiting = read(files)
    assert [isinstance(image, Waiting) for image in waiting] == [kind == "JPEG" for kind in KINDS]
    assert [image.size for image in waiting] == [(40 + number, 60) for number in range(4)]
    for found, data in zip(decode_batch(waiting, CPU), files, strict=True):
        np.testing.assert_array_equal(found.numpy(), decode("", data))


def test_one_that_is_refused_costs_no_other_its_decoding(
    files: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = files[2]

    def refusing(encoded: list[torch.Tensor], **_: Any) -> list[torch.Tensor]:
        if any(bytes(data.numpy()) == refused for data in encoded):
            raise RuntimeError("not this one")
        return [torch.full((3, 4, 5), 7, dtype=torch.uint8) for _ in encoded]

    monkeypatch.setattr("torchvision.io.decode_jpeg", refusing)
    waiting = read(files)
    monkeypatch.setattr("vitbench.data.nvjpeg.decode", lambda *_: np.zeros((1, 2, 3), np.uint8))
    first, second, third, fourth = decode_batch(waiting, CPU)
    assert first.shape == fourth.shape == (4, 5, 3)
    assert third.shape == (1, 2, 3)
    np.testing.assert_array_equal(second.numpy(), decode("", files[1]))


def test_a_file_broken_behind_its_header_is_named(files: list[bytes]) -> None:
    files[3] = files[3][: len(files[3]) // 2]
    with pytest.raises(CorruptImage, match="'3'"):
        decode_batch(read(files), CPU)


def test_no_image_is_found_by_its_header() -> None:
    with pytest.raises(CorruptImage, match="'x'"):
        wait_for_batch("x", b"no image")


def test_crops_of_images_on_the_device_are_those_of_arrays(files: list[bytes]) -> None:
    crops = MultiCrop(global_size=24, local_size=16, local_crops=2)
    arrays = [decode("", data) for data in files]
    sizes = np.array([image.shape[:2] for image in arrays])
    draws = draw_crops(crops, sizes, seed=0, epoch=0, indices=np.arange(len(files)))
    expected = augment_packed(arrays, crops, draws, CPU)
    found = augment_packed(decode_batch(read(files), CPU), crops, draws, CPU)
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


@pytest.mark.parametrize("reason", ["not compiled with nvjpeg support", ""])
def test_a_machine_that_can_not_is_told_what_else_there_is(
    monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError(reason)

    monkeypatch.setattr("torchvision.io.decode_jpeg", fails)
    device = CUDA if reason else CPU
    with pytest.raises(SettingError, match="--decode nvjpeg can't be used here") as refused:
        check_nvjpeg(device)
    assert (reason or "the device cpu") in refused.value.found
    assert "--decode exact" in refused.value.hint
