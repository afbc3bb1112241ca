"""The training file of iBOT's own code."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from vitbench.kit import Layout

if TYPE_CHECKING:
    from torch import Tensor


def _prototypes(part: str) -> "Callable[[Tensor], dict[str, Tensor]]":
    """Write a tensor of the last layer twice: it is that of the patches too."""
    return lambda value: {part: value, part.replace("last_layer", "last_layer2"): value}


TRAINING_FILE = Layout(
    about="the training file of bytedance/ibot, with a shared head",
    names=(
        ("student.backbone.", "student/module.backbone."),
        ("student.heads.ibot.", "student/module.head."),
        ("teacher.backbone.", "teacher/backbone."),
        ("teacher.heads.ibot.", "teacher/head."),
    ),
    memory={
        **{
            f"{side}.heads.ibot.last_layer.{name}": _prototypes(f"{place}head.last_layer.{name}")
            for side, place in (("student", "student/module."), ("teacher", "teacher/"))
            for name in ("weight_g", "weight_v")
        },
        "objectives.ibot.mask_token": lambda value: {
            "student/module.backbone.masked_embed": value[None]
        },
        "objectives.ibot.center.value": lambda value: {"ibot_loss/center": value[None]},
        "objectives.ibot.patch_center.value": lambda value: {"ibot_loss/center2": value[None]},
    },
)
