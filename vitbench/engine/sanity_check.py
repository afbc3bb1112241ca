"""The sanity check: are these weights what they say they are, and do they behave like it?

Loading has already counted every key. The gate looks at behavior on built-in images, small enough
for seconds on a CPU; its verdict is kept by content and goes into every record.
"""

import copy

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vitbench.data.synthetic import CLASS_NAMES, draw_picture
from vitbench.data.transforms import ImageView, Normalization
from vitbench.engine.features import autocast
from vitbench.engine.kept_verdict import NOT_FINITE, Check, SanityCheck, keep_verdict, kept_verdict
from vitbench.engine.options import Log, Precision
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, load_backbone, resolve
from vitbench.models.known import known_of
from vitbench.neighbors import Neighbors, vote
from vitbench.online_knn import TEMPERATURE, K

SIDE = 6  # patches: enough to tell classes apart, cheap for every patch size
PICTURES_PER_CLASS = 20
BATCH = 64
PIXELS = "pixels:16"


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
    known = known_of(checkpoint, backbone)
    kept = kept_verdict(known, precision)
    if kept is not None:
        return kept
    count = PICTURES_PER_CLASS * len(CLASS_NAMES)
    log(f"sanity check on {count} built-in images, once for these weights …")
    return keep_verdict(known, precision, _behavior(backbone, precision))


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
