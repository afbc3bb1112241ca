"""Checks that every backbone must pass, bundled or not."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vitbench.models.backbone import Backbone, Features
from vitbench.models.checkpoint import checkpoint_of, load_backbone
from vitbench.models.wrapped import wrap
from vitbench.testing.finding import Finding, found_by

CLOSE = 1e-4  # relative: an image alone, and the same image in a batch
BATCH = 2


def check_backbone(build: Callable[[], torch.nn.Module]) -> Iterator[Finding]:
    """Check a backbone against the contract, on images of noise of its native size.

    Args:
        build: Makes the network, as the entry point `vitbench.backbones` names it.

    Yields:
        One finding a check, as soon as it is known; none after one that could not be made.
    """
    try:
        backbone = load_backbone(checkpoint_of(wrap(build())))
    except Exception as error:  # of code that is not ours
        yield Finding("is made, and gives tokens or maps", f"{type(error).__name__}: {error}")
        return
    yield Finding("is made, and gives tokens or maps", "")
    images = torch.randn(
        BATCH, 3, *backbone.info.image_size, generator=torch.Generator().manual_seed(0)
    )
    yield from found_by(
        {
            "gives features of the shapes that it declares": lambda: _shapes(backbone, images),
            "gives finite features": lambda: _finite(backbone, images),
            "gives the same features twice": lambda: _twice(backbone, images),
            "gives an image the same features alone and in a batch": lambda: _alone(
                backbone, images
            ),
            "is learned without touching the original": lambda: _copied(backbone, images),
            "starts from weights that a seed draws": lambda: _seeded(backbone),
        }
    )


def _run(backbone: Backbone, images: Tensor) -> tuple[Features, ...]:
    with torch.inference_mode():
        found: tuple[Features, ...] = backbone(images, range(backbone.info.depth))
    return found


def _shapes(backbone: Backbone, images: Tensor) -> str:
    info = backbone.info
    wrong = []
    for layer, features in enumerate(_run(backbone, images)):
        stage = info.stage(layer)
        pooled = (BATCH, info.pooled_width(layer))
        grid = tuple(max(1, side // stage.stride) for side in info.image_size)
        patches = (BATCH, stage.width, *grid)
        for what, found, expected in (
            ("pooled", features.pooled, pooled),
            ("patches", features.patches, patches),
        ):
            if tuple(found.shape) != expected:
                wrong.append(f"layer {layer}: {what} {tuple(found.shape)} instead of {expected}")
    return "; ".join(wrong[:4])


def _finite(backbone: Backbone, images: Tensor) -> str:
    last = _run(backbone, images)[-1]
    bad = [name for name in ("pooled", "patches") if not getattr(last, name).isfinite().all()]
    return f"NaN or infinity in {', '.join(bad)}" if bad else ""


def _twice(backbone: Backbone, images: Tensor) -> str:
    first, second = (_run(backbone, images)[-1].pooled for _ in range(2))
    return "" if torch.equal(first, second) else f"they differ by {_difference(first, second):.1e}"


def _alone(backbone: Backbone, images: Tensor) -> str:
    together, alone = _run(backbone, images)[-1].pooled[:1], _run(backbone, images[:1])[-1].pooled
    difference = _difference(together, alone)
    return "" if difference < CLOSE else f"they differ by {difference:.1e} of their size"


def _copied(backbone: Backbone, images: Tensor) -> str:
    before = _run(backbone, images)[-1].pooled
    copy = backbone.dense_copy(rule=backbone.info.position_rule)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(1.0)
    return "" if torch.equal(before, _run(backbone, images)[-1].pooled) else "its weights changed"


def _seeded(backbone: Backbone) -> str:
    states = []
    for seed in (0, 0):
        backbone.reset_weights(seed)
        states.append({key: value.clone() for key, value in backbone.own_state().items()})
    differ = [key for key, value in states[0].items() if not torch.equal(value, states[1][key])]
    return f"another value with the same seed: {', '.join(differ[:4])}" if differ else ""


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / one.norm().clamp_min(1e-12))
