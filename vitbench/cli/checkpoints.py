"""The flags that name checkpoints and facts about them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vitbench.engine.options import Reporter
from vitbench.models.constants import Pooling, PositionRule, Triple
from vitbench.settings import as_dict, setting

if TYPE_CHECKING:
    from vitbench.models.asked import AskedCheckpoint
    from vitbench.models.checkpoint import Checkpoint

CHECKPOINT_FLAGS = "facts about the checkpoints, where their files do not say them"
OF_255 = "values of 0 to 255 are divided by 255: 127 becomes 0.498"


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The checkpoints, and facts that their files do not say."""

    checkpoints: tuple[str, ...] = setting(
        (),
        help="checkpoint: path of a file or folder, name of a manifest (`vitbench list"
        " checkpoints`), timm:NAME, hf-hub:ID, random:ARCH[?seed=N], folder of a training run,"
        " package.module:function. Facts about one checkpoint stand behind it:"
        " ckpt.pth@arch=vit_small_patch16_224,mean=0.5,std=0.5",
    )
    arch: str | None = setting(
        None,
        help="architecture (`vitbench list architectures`) of checkpoints that do not know their"
        " own: the shapes of a ViT's weights do not tell its number of attention heads",
    )
    num_heads: int | None = setting(
        None,
        help="attention heads of a ViT, if neither its file nor a name tells them",
        minimum=1,
    )
    native_px: int | None = setting(
        None,
        help="image size in pixels that a Swin was made for, if nothing else tells it",
        minimum=1,
    )
    mean: Triple | None = setting(
        None,
        help="mean of the RGB input, in 0 to 1, of checkpoints that do not know their own; left"
        " out: ImageNet's",
        minimum=0.0,
        maximum=1.0,
        remedy=OF_255,
    )
    std: Triple | None = setting(
        None,
        help="standard deviation of the RGB input, in 0 to 1, of checkpoints that do not know"
        " their own; left out: ImageNet's",
        minimum=0.001,
        maximum=1.0,
        remedy=OF_255,
    )
    position_rule: PositionRule | None = setting(
        None, help="how the position table is resized to other image sizes; left out: as published"
    )
    state_key: str | None = setting(
        None, help="dotted path of the weights inside the file, such as model.teacher"
    )
    tokens: str | None = setting(
        None,
        help="output or layer that gives the features of a network from code, such as layer4",
    )
    prefix: str = setting(
        "",
        help="start of the backbone's keys in the file, such as backbone.; other keys are left out",
    )
    ignore: tuple[str, ...] = setting(
        (), help="shell patterns of keys to leave out, such as head.* criterion.*"
    )
    pooling: Pooling | None = setting(
        None, help="image-level feature, if the network offers several; left out: its usual one"
    )


def asked_for(spec: str, which: Which) -> "AskedCheckpoint | None":
    """Hash what one word names, with the facts told of it; None where no file tells all of it."""
    from vitbench.models.asked import asked_checkpoint

    return asked_checkpoint(spec, as_dict(replace(which, checkpoints=())))


def resolve_one(
    spec: str, which: Which, reporter: Reporter, asked: "AskedCheckpoint | None" = None
) -> "Checkpoint":
    """Find, open and check the checkpoint of one word; `--arch`, `--mean`, `--std` are defaults.

    Args:
        spec: The word.
        which: The facts told.
        reporter: Told about a download.
        asked: The same, hashed before: what is said of the checkpoint is kept under its key.
    """
    from vitbench.models.checkpoint import resolve
    from vitbench.models.user_facts import DefaultFacts

    found = resolve(
        spec,
        position_rule=which.position_rule,
        state_key=which.state_key,
        prefix=which.prefix,
        ignore=which.ignore,
        pooling=which.pooling,
        tokens=which.tokens,
        heads=which.num_heads,
        native_px=which.native_px,
        defaults=DefaultFacts(arch=which.arch, mean=which.mean, std=which.std),
        progress=lambda done, total: reporter.progress(f"download {spec}", done, total),
    )
    same = asked is not None and asked.is_unchanged()  # not written while it was read
    return replace(found, key=asked.key if asked and same else "")
