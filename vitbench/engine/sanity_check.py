"""The sanity check: are these weights what they say they are, and do they behave like it?

Loading has already counted every key. The gate looks at behavior on built-in images, small enough
for seconds on a CPU; its verdict is kept by content and goes into every record.
"""

import copy
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter
from torch import Tensor

from vitbench.cache import cache_place, find_cached
from vitbench.data.dataset import open_dataset
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.data.synthetic import VERSION as SYNTHETIC_VERSION
from vitbench.data.transforms import ImageView
from vitbench.engine.options import Log
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, load_backbone, resolve
from vitbench.models.identity import identify_weights
from vitbench.online_knn import OnlineKnn
from vitbench.outside_files import unless_broken
from vitbench.records import atomic
from vitbench.settings import digest

VERSION = 2  # +1 when a verdict can change
SIDE = 6  # patches: enough to tell classes apart, cheap for every patch size
TRAIN, VAL = 400, 200
FLOORS = frozenset({"random", "pixels"})  # what others are measured against
PIXELS = "pixels:16"
NOT_FINITE = "features are not finite"


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
) -> SanityCheck:
    """Check a loaded checkpoint, or return the kept results for the same weights.

    Args:
        checkpoint: The checkpoint; all keys of its file are accounted for.
        backbone: The network with its weights, on the device that runs it.
        log: Called before the network runs, which takes a while.
    """
    keys = Check(True, checkpoint.accounting.summary())
    if checkpoint.method in FLOORS:
        return SanityCheck((keys, Check(True, f"{checkpoint.method}: a floor, nothing to check")))
    info = backbone.info
    weights = identify_weights(backbone, checkpoint.sha256).digest
    identity = [VERSION, SYNTHETIC_VERSION, weights, info.mean, info.std]
    kept = ("gate", f"{digest(identity)[:32]}.json")
    checks = _recalled(find_cached(*kept))
    if not checks:
        log(f"sanity check on {TRAIN + VAL} built-in images, once for these weights …")
        checks = _behavior(backbone)
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


def _behavior(backbone: Backbone) -> tuple[Check, ...]:
    """Yield the checks that run the network."""
    info = backbone.info
    side = info.image_size[0] if info.fixed_size else SIDE * info.patch_size
    probe = OnlineKnn(
        open_dataset(SYNTHETIC, "classification", "train", limit=TRAIN),
        open_dataset(SYNTHETIC, "classification", "val", limit=VAL),
        view=ImageView(side, side),
    )
    bank, labels = probe.vectors(backbone, probe.bank)
    finite = Check(bool(bank.isfinite().all()), "features are finite")
    if not finite.passed:
        return (Check(False, NOT_FINITE),)
    spread = bank.std(dim=0).norm().item()  # of unit vectors: 0 if all are the same
    if spread < 1e-3:
        return (finite, Check(False, f"features are constant (spread {spread:.1e} of 1)"))
    queries, truth = probe.vectors(backbone, probe.queries)
    own = probe.vote(bank, labels, queries, truth)
    return (
        finite,
        Check(True, f"features vary (spread {spread:.2f} of 1)"),
        _first_weights(backbone),
        _floors(backbone, probe, own),
    )


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


def _floors(backbone: Backbone, probe: OnlineKnn, own: float) -> Check:
    """Compare the 20-NN score with that of untrained weights and with that of raw pixels."""
    untrained = copy.deepcopy(backbone)
    untrained.reset_weights(0)
    pixels = load_backbone(resolve(PIXELS), device=next(backbone.parameters()).device)
    chance, raw = probe.top1(untrained), probe.top1(pixels)
    text = f"20-NN on built-in images {own:.1f} %, untrained {chance:.1f} %, pixels {raw:.1f} %"
    return Check(own > max(chance, raw), text)
