"""A memory of patches from random crops, the rare classes of each image first."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitbench.api import Backbone, errors
from vitbench.kit import (
    Bank,
    crop_boxes,
    distributed,
    in_order,
    keyed_uniform,
    send,
    to_pixels,
)
from vitbench_protocols.segmentation.classes import NONE, Classes, Indices
from vitbench_protocols.segmentation.dense_knn import PatchReader, Retrieval, class_shares
from vitbench_protocols.segmentation.inference import Segmenter
from vitbench_protocols.segmentation.predict import Problem
from vitbench_protocols.segmentation.scenes import read_scene
from vitbench_protocols.segmentation.settings import Hummingbird, Squared

ATTEMPTS = 10  # crops that are tried before the central one is taken
SCALE = (0.5, 2.0)  # area of a crop, share of the image; one that is larger does not fit
JITTER, CHANCE = 0.1, 0.5  # strongest change of brightness, contrast, saturation and hue; of each
AHEAD = 8  # crops that are made before they are asked for
DRAWS = 2 * ATTEMPTS + 2 + 8


def remember_crops(settings: Hummingbird, backbone: Backbone, problem: Problem) -> Segmenter:
    """Fill the memory.

    Raises:
        SettingError: Images are not squared.
    """
    inference = problem.inference
    if not isinstance(inference, Squared):
        raise errors.SettingError(
            ["hummingbird sees squared images only"], hint="--preset hummingbird"
        )
    reader = PatchReader(backbone, problem.context, settings.layer)
    kept = max(1, settings.memory // (len(problem.train) * settings.epochs))
    work = [(epoch, at) for epoch in range(settings.epochs) for at in range(len(problem.train))]
    mine = distributed.share(range(len(work)))

    def cropped(number: int) -> tuple[int, Tensor, Indices]:
        epoch, place = work[number]
        return number, *_crop(problem, place, epoch, inference.size)

    parts: dict[int, tuple[Tensor, Tensor]] = {}
    for number, image, truth in in_order(
        cropped, mine, workers=problem.context.workers, ahead=AHEAD
    ):
        tokens = reader.tokens(reader.normalization(send(image[None], reader.device)))[0]
        shares = class_shares(truth, reader.patch_px, len(problem.classes))
        epoch, place = work[number]
        keys = keyed_uniform(
            problem.context.seed, "memory", place, epoch, np.arange(len(shares)), count=1
        )[:, 0]
        chosen = rare_patches(shares, keys, kept)
        parts[number] = (tokens[chosen.to(tokens.device)].cpu(), torch.from_numpy(shares)[chosen])
        problem.context.progress("remembering", number + 1, len(work))
    whole = {number: part for found in distributed.gather(parts) for number, part in found.items()}
    tokens, classes = (
        torch.cat(part).to(problem.context.device)
        for part in zip(*(whole[number] for number in sorted(whole)), strict=True)
    )
    bank, k = Bank(tokens, engine=settings.engine), min(settings.k, len(tokens))
    return Retrieval(reader, bank, classes, k=k, temperature=settings.temperature)


def rare_patches(shares: NDArray[np.float16], keys: NDArray[np.float64], count: int) -> Tensor:
    """Choose patches of one image, those whose classes few patches have before others.

    Args:
        shares: Shares of classes in each patch, (n, C).
        keys: Draws from 0 to 1 for each patch, (n,).
        count: How many are chosen, if there are so many with a class.

    Returns:
        Their numbers. Each is as likely to be early as the patches of its classes are few.

    Source:
        vpariza/open-hummingbird-eval, hbird/hbird_eval.py, _sample_features (5e79da2).
    """
    present = (shares > 0).astype(np.float64)
    scores = (present @ present.sum(axis=0)) * keys
    scores[~present.any(axis=1)] = np.inf
    order = np.argsort(scores, kind="stable")[:count]
    return torch.from_numpy(order[np.isfinite(scores[order])])


def _crop(problem: Problem, place: int, epoch: int, side: int) -> tuple[Tensor, Indices]:
    """Return a random crop of a training image, uint8 (3, side, side), and its classes."""
    scene = read_scene(problem.train, place, problem.classes)
    truth = _background(scene.truth, problem.classes)
    drawn = keyed_uniform(problem.context.seed, "hummingbird", epoch, place, count=DRAWS)
    height, width = truth.shape
    box = crop_boxes(
        np.array([[height, width]]),
        np.array([SCALE]),
        drawn[: 2 * ATTEMPTS].reshape(1, 1, ATTEMPTS, 2),
        drawn[None, None, 2 * ATTEMPTS : 2 * ATTEMPTS + 2],
    )
    top, left, tall, wide = box[0, 0].tolist()
    image = _jittered(Image.fromarray(scene.image), drawn[2 * ATTEMPTS + 2 :])
    area = (left, top, left + wide, top + tall)
    small = image.resize((side, side), Image.Resampling.BILINEAR, box=area)
    rows = top + (np.arange(side) * tall) // side
    columns = left + (np.arange(side) * wide) // side
    return to_pixels(small), truth[np.ix_(rows, columns)]


def _background(truth: Indices, classes: Classes) -> Indices:
    """Call what has no class background, where there is such a class."""
    if "background" not in classes.names:
        return truth
    found: Indices = np.where(truth == NONE, classes.names.index("background"), truth)
    return found.astype(np.int16)


def _jittered(image: Image.Image, drawn: NDArray[np.float64]) -> Image.Image:
    """Change brightness, contrast, saturation and hue, each in half of the cases."""
    from torchvision.transforms import functional

    changes = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    for number, change in enumerate(changes):
        chance, strength = drawn[2 * number : 2 * number + 2]
        if chance < CHANCE:
            amount = JITTER * (2 * strength - 1)
            image = change(image, amount if number == 3 else 1 + amount)
    return image
