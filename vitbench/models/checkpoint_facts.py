"""Facts of a checkpoint that its user, its manifest or its file may say: which of them counts."""

from dataclasses import replace

from vitbench.errors import CheckpointError, listed
from vitbench.models.backbone import AnyArchitecture
from vitbench.models.constants import Pooling, PositionRule
from vitbench.models.factory import poolings
from vitbench.models.locate import Source
from vitbench.models.recognize_format import Recognized
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_names import usual_normalization
from vitbench.models.user_facts import DEFAULT, InputNormalization, UserFacts


def choose_position_rule(
    source: Source, user: UserFacts, found: Recognized
) -> tuple[PositionRule, str]:
    """Return how the positional table is resized, and who says it."""
    manifest = source.manifest
    said = (
        (user.position_rule, "flag"),
        (manifest.position_rule if manifest else None, "manifest"),
        (source.facts.position_rule, "file"),
    )
    return next(
        ((rule, who) for rule, who in said if rule is not None),
        (found.format.position_rule, "the format"),
    )


def choose_pooling(
    architecture: AnyArchitecture, pooling: Pooling | None, trained: Pooling | None, name: str
) -> tuple[AnyArchitecture, Pooling]:
    """Settle the image-level feature, and leave out of the architecture what it does not need."""
    offered = poolings(architecture)
    if pooling is not None and pooling not in offered:
        raise CheckpointError(
            f"{name}: these weights have no {pooling!r} as image-level feature.",
            expected=f"one of {', '.join(offered)}",
        )
    if pooling is None:
        pooling = trained if trained in offered else offered[0]
    if pooling == "mean_pool":
        architecture = replace(architecture, class_attention=0)
    return architecture, pooling


def warn_of_normalization(
    architecture: AnyArchitecture, normalization: InputNormalization
) -> tuple[str, ...]:
    """Warn where nobody said the normalization, and timm's weights of the network want another."""
    if normalization.origin != DEFAULT or not isinstance(architecture, TimmArchitecture):
        return ()
    usual = usual_normalization(architecture.timm_name)
    if usual is None or usual == (normalization.mean, normalization.std):
        return ()
    flags = (
        f"--{name} {' '.join(map(str, value))}"
        for name, value in zip(("mean", "std"), usual, strict=True)
    )
    return (f"timm's own weights of this network want {' '.join(flags)}; do these too?",)


def other_weights(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return a line on other weights in the file, and the flag that takes them."""
    addressed = [path for path in paths if path]
    if not addressed:
        return ()
    return (
        f"more weights in the file: {listed(addressed)}; --state-key {addressed[0]} takes "
        f"{'those' if len(addressed) == 1 else 'the first of them'}",
    )
