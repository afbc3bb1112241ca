"""The sanity check: are these weights what they say they are, and do they behave like it?

Loading has already counted every key. The gate looks at behavior on built-in images, small enough
for seconds on a CPU; its verdict is kept by content and goes into every record.
"""

import copy
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from PIL import Image
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional

from vitbench.cache import cache_place, find_cached
from vitbench.data.synthetic import CLASS_NAMES, draw_picture
from vitbench.data.synthetic import VERSION as SYNTHETIC_VERSION
from vitbench.data.transforms import ImageView, Normalization
from vitbench.engine.features import autocast
from vitbench.engine.options import Log, Precision
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, load_backbone, resolve
from vitbench.models.identity import identify_weights
from vitbench.neighbors import Neighbors, vote
from vitbench.online_knn import TEMPERATURE, K
from vitbench.outside_files import unless_broken
from vitbench.records import atomic
from vitbench.settings import digest

VERSION = 3  # +1 when a verdict can change
SIDE = 6  # patches: enough to tell classes apart, cheap for every patch size
PICTURES_PER_CLASS = 20
BATCH = 64
FLOORS = frozenset({"random", "pixels"})  # what others are measured against
PIXELS = "pixels:16"
NOT_FINITE = "features are not finite"
NOT_RUN = "not run (--no-sanity-check)"  # what a record says of weights that were not checked


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its result."""

    passed: bool
    text: str


ADAPTER = TypeAdapter(tuple[Check, ...])


@dataclass(frozen=True, slots=True)
class SanityCheck:
    """The results of all checks."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def finite(self) -> bool:
        """Whether the features are numbers; without that nothing can be scored."""
        return not any(check.text == NOT_FINITE for check in self.checks)

    @property
    def verdict(self) -> str:
        """The outcome in one sentence, for the record."""
        failed = [check.text for check in self.checks if not check.passed]
        return f"failed: {'; '.join(failed)}" if failed else f"passed: {self.checks[-1].text}"


def inspect(
    checkpoint: Checkpoint,
    backbone: Backbone,
    log: Log = lambda text: None,
    *,
    precision: Precision = "fp32",
) -> SanityCheck:
    """Check a loaded checkpoint, or return the kept results for the same weights.

    Args:
        checkpoint: The checkpoint; all keys of its file are accounted for.
        backbone: The network with its weights, on the device that runs it.
        log: Called before the network runs, which takes a while.
        precision: Of the forward passes, as the run has it.
    """
    keys = Check(True, checkpoint.accounting.summary())
    if checkpoint.method in FLOORS:
        return SanityCheck((keys, Check(True, f"{checkpoint.method}: a floor, nothing to check")))
    info = backbone.info
    weights = identify_weights(backbone, checkpoint.sha256).digest
    identity = [VERSION, SYNTHETIC_VERSION, weights, info.mean, info.std, precision]
    kept = ("gate", f"{digest(identity)[:32]}.json")
    checks = _recalled(find_cached(*kept))
    if not checks:
        count = PICTURES_PER_CLASS * len(CLASS_NAMES)
        log(f"sanity check on {count} built-in images, once for these weights …")
        checks = _behavior(backbone, precision)
        with suppress(OSError):  # a cache that can't be written costs time alone
            place = cache_place(*kept)
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic(place) as path:
                path.write_text(json.dumps([asdict(check) for check in checks]))
    return SanityCheck((keys, *checks))


def _recalled(kept: Path) -> tuple[Check, ...]:
    """Return the results that were kept; none where nothing whole is."""
    found = unless_broken(lambda: ADAPTER.validate_json(kept.read_bytes()))
    return found or ()


def _behavior(backbone: Backbone, precision: Precision) -> tuple[Check, ...]:
    """Yield the checks that run the network."""
    info = backbone.info
    side = info.image_size[0] if info.fixed_size else SIDE * info.patch_size
    pictures = _draw(ImageView(side, side))
    own = _vectors(backbone, pictures, precision)
    finite = Check(bool(own.isfinite().all()), "features are finite")
    if not finite.passed:
        return (Check(False, NOT_FINITE),)
    spread = own.std(dim=0).norm().item()  # of unit vectors: 0 if all are the same
    if spread < 1e-3:
        return (finite, Check(False, f"features are constant (spread {spread:.1e} of 1)"))
    return (
        finite,
        Check(True, f"features vary (spread {spread:.2f} of 1)"),
        _first_weights(backbone),
        _floors(backbone, pictures, own, precision),
    )


def _draw(view: ImageView) -> Tensor:
    """Draw the pictures, uint8 (N, 3, H, W), their classes in turns."""
    return torch.stack(
        [
            view(Image.fromarray(draw_picture("train", kind, number)))
            for number in range(PICTURES_PER_CLASS)
            for kind in range(len(CLASS_NAMES))
        ]
    )


def _vectors(backbone: Backbone, pictures: Tensor, precision: Precision) -> Tensor:
    """Return the L2-normalized image-level features of pictures (N, D) on the CPU."""
    where = next(backbone.parameters())
    normalize = Normalization(backbone.info.mean, backbone.info.std)
    vectors = []
    for part in torch.split(pictures, BATCH):
        images = normalize(part.to(where.device)).to(where.dtype)
        with torch.inference_mode(), autocast(where.device, precision):
            (features,) = backbone(images)
        vectors.append(functional.normalize(features.pooled.float(), dim=-1).cpu())
    return torch.cat(vectors)


def _top1(vectors: Tensor) -> float:
    """Return the share of pictures whose class the 20 nearest of the others vote for, percent."""
    classes = torch.arange(len(vectors)) % len(CLASS_NAMES)
    similarities = (vectors @ vectors.t()).fill_diagonal_(-torch.inf)
    found = Neighbors(*similarities.topk(K))
    ranked = vote(found, classes, classes=len(CLASS_NAMES), k=K, temperature=TEMPERATURE)
    return 100 * (ranked[:, 0] == classes).double().mean().item()


def _first_weights(backbone: Backbone) -> Check:
    """Check that the weights were trained: not every bias is 0 and every norm 1."""
    vectors: list[Tensor] = [
        value
        for name, value in backbone.named_parameters()
        if value.ndim == 1 and not name.startswith("patch_embed")
    ]
    untouched = sum(bool(((v == 0) | (v == 1)).all()) for v in vectors)
    if vectors and untouched == len(vectors):
        return Check(False, "no bias or norm differs from its first value: never trained?")
    return Check(
        True, f"{len(vectors) - untouched} of {len(vectors)} biases and norms were trained"
    )


def _floors(backbone: Backbone, pictures: Tensor, own: Tensor, precision: Precision) -> Check:
    """Compare the 20-NN score with that of untrained weights and with that of raw pixels."""
    untrained = copy.deepcopy(backbone)
    untrained.reset_weights(0)
    pixels = load_backbone(resolve(PIXELS), device=next(backbone.parameters()).device)
    score, chance, raw = (
        _top1(vectors)
        for vectors in (
            own,
            _vectors(untrained, pictures, precision),
            _vectors(pixels, pictures, precision),
        )
    )
    text = f"20-NN on built-in images {score:.1f} %, untrained {chance:.1f} %, pixels {raw:.1f} %"
    return Check(score > max(chance, raw), text)
