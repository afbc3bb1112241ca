"""Checkpoints as words: the flags that say which, and what their files do not say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitbench.engine.options import Reporter
from vitbench.models.constants import Pooling, PositionRule, Triple
from vitbench.settings import setting

if TYPE_CHECKING:
    from vitbench.models.checkpoint import Checkpoint

OF_255 = "values of 0 to 255 are divided by 255: 127 becomes 0.498"


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which checkpoints, and facts that their files do not say."""

    checkpoints: tuple[str, ...] = setting(
        (),
        help="paths, manifest names, timm:NAME, hf-hub:ID, random:ARCH[?seed=N], run folders,"
        " package.module:function",
    )
    arch: str | None = setting(None, help="architecture; a bare file does not say its heads")
    num_heads: int | None = setting(
        None,
        help="attention heads of a ViT, where neither its file nor a name says them",
        minimum=1,
    )
    native_px: int | None = setting(
        None,
        help="image size in pixels that a Swin was made for, where nothing else says it",
        minimum=1,
    )
    mean: Triple | None = setting(
        None,
        help="mean of the input's RGB values in 0 to 1, for a file that does not say",
        minimum=0.0,
        maximum=1.0,
        remedy=OF_255,
    )
    std: Triple | None = setting(
        None,
        help="standard deviation of the input's RGB values in 0 to 1, likewise",
        minimum=0.001,
        maximum=1.0,
        remedy=OF_255,
    )
    position_rule: PositionRule | None = setting(None, help="how the position table is resized")
    state_key: str | None = setting(None, help="where the weights are in the file: model.teacher")
    tokens: str | None = setting(
        None, help="output or layer that gives the features of a network from code: layer4"
    )
    prefix: str = setting(
        "", help="how the keys of the network begin in its file: backbone.; other keys are left out"
    )
    ignore: tuple[str, ...] = setting(
        (), help="shell patterns of keys of the file that are left out: head.* criterion.*"
    )
    pooling: Pooling | None = setting(None, help="image-level feature, where there is a choice")


def resolve_one(spec: str, which: Which, reporter: Reporter) -> "Checkpoint":
    """Find, open and check the checkpoint of one word."""
    from vitbench.models.checkpoint import resolve

    return resolve(
        spec,
        arch=which.arch,
        mean=which.mean,
        std=which.std,
        position_rule=which.position_rule,
        state_key=which.state_key,
        prefix=which.prefix,
        ignore=which.ignore,
        pooling=which.pooling,
        tokens=which.tokens,
        heads=which.num_heads,
        native_px=which.native_px,
        progress=lambda done, total: reporter.progress(f"download {spec}", done, total),
    )
