"""JPEGs decoded on a CUDA device, all of a batch at once, and left there.

nvJPEG's pixels are not libjpeg's: it spreads colors that were stored at half the resolution in
another way.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vitbench.data.decode import Decoded, decode, is_plain_jpeg, open_header
from vitbench.data.sizes import Size
from vitbench.data.upload import send
from vitbench.errors import SettingError
from vitbench.outside_files import reason


@dataclass(frozen=True, slots=True)
class Waiting:
    """A gray or RGB JPEG that is to be decoded."""

    name: str
    data: bytes
    size: Size  # height and width, as its header says
    reduction: int = 1


def wait_for_batch(name: str, data: bytes) -> Waiting | Decoded:
    """Read the header of a JPEG; anything else is decoded on the CPU; raises CorruptImage."""
    image = open_header(name, data)
    size = image.height, image.width
    return Waiting(name, data, size) if is_plain_jpeg(image) else Decoded(decode(name, data), size)


def decode_batch(images: list[Waiting | Decoded], device: torch.device) -> list[Tensor]:
    """Decode the images that wait, and send the others.

    A JPEG that nvJPEG refuses is decoded on the CPU, whatever batch it is in.

    Returns:
        Tensors uint8 (H, W, 3) on the device.

    Raises:
        CorruptImage: A JPEG is broken behind its header. No other image takes its slot.
    """
    waiting = [image for image in images if isinstance(image, Waiting)]
    try:
        found = iter(_decode_on(device, [image.data for image in waiting]))
    except RuntimeError:  # it does not say which one
        found = iter([_decode_alone(image, device) for image in waiting])
    return [
        next(found) if isinstance(image, Waiting) else send(image.pixels, device)
        for image in images
    ]


def check_nvjpeg(device: torch.device) -> None:
    """Try to decode an image.

    Raises:
        SettingError: The device is no CUDA device, or torchvision was built without nvJPEG.
    """
    found = f"the device {device}"
    if device.type == "cuda":
        stream = BytesIO()
        Image.new("RGB", (16, 16)).save(stream, "JPEG")
        try:
            _decode_on(device, [stream.getvalue()])
        except (RuntimeError, AttributeError) as error:
            found = reason(error)
        else:
            return
    raise SettingError(
        ["--decode nvjpeg can't be used here"],
        expected="a CUDA device, and a torchvision that was built with nvJPEG",
        found=found,
        hint="--decode exact, or --decode scaled where crops are small",
    )


def _decode_alone(image: Waiting, device: torch.device) -> Tensor:
    try:
        (found,) = _decode_on(device, [image.data])
    except RuntimeError:
        return send(decode(image.name, image.data), device)
    return found


def _decode_on(device: torch.device, encoded: list[bytes]) -> list[Tensor]:
    from torchvision.io import ImageReadMode, decode_jpeg

    if not encoded:
        return []
    files = [torch.from_numpy(np.frombuffer(data, np.uint8).copy()) for data in encoded]
    found: Any = decode_jpeg(files, mode=ImageReadMode.RGB, device=device)
    return [pixels.permute(1, 2, 0) for pixels in found]
