"""The layouts that checkpoints come in: one row each, recognised by the keys inside the file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from vitbench.errors import CheckpointError, StateMismatch, listed
from vitbench.models.facts import PositionRule
from vitbench.models.state_dict import State

HEADS = ("head.*", "head_dist.*", "fc.*", "pre_logits.*")
WRAPPERS = r"(?:(?:module|model|backbone|encoder|_orig_mod)\.)+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One layout: where the weights are, how their names become ours, what is left out."""

    name: str
    about: str
    at: tuple[str, ...]  # dotted paths, inside the file, where the weights may be; "" is the top
    sign: str  # a pattern that some key there matches in full, and in no earlier row's layout
    strip: str = ""  # pattern taken off the front of every key
    rename: tuple[tuple[str, str], ...] = ()  # patterns and replacements, in order, after `strip`
    ignore: tuple[str, ...] = HEADS  # shell patterns of our names that are left out on purpose
    method: str = ""  # what the layout says of how the weights were trained
    heads: int | None = None  # where every file of this layout has the same
    position_rule: PositionRule = "dino"

    def our_name(self, key: str) -> str:
        """Return timm's name of a key of the file."""
        key = re.sub(f"^{self.strip}", "", key) if self.strip else key
        for pattern, replacement in self.rename:
            key = re.sub(pattern, replacement, key)
        return key


FORMATS = (
    Format(
        name="selfpatch",
        about="training file of SelfPatch: trunk, class attention and heads",
        at=("teacher", "student"),
        sign=r"(module\.)?ca_head\.cls_token",
        strip=WRAPPERS,
        ignore=(*HEADS, "c_head.*", "p_head.*"),
        method="selfpatch",
    ),
    Format(
        name="dino-training",
        about="training file of DINO: student and teacher with heads",
        at=("teacher", "student"),
        sign=r"(module\.)?backbone\.patch_embed\.proj\.weight",
        strip=WRAPPERS,
        method="dino",
    ),
    Format(
        name="mae",
        about="pretraining file of MAE: encoder and decoder under `model`",
        at=("model",),
        sign=r"decoder_embed\.weight",
        ignore=(*HEADS, "mask_token", "decoder_*"),
        method="mae",
        position_rule="size",
    ),
    Format(
        name="flat",
        about="a state dict by timm's names: published DINO, timm, safetensors",
        at=("",),
        sign=r"patch_embed\.proj\.weight",
    ),
    Format(
        name="model",
        about="timm's names under `model`, as DeiT and MAE save them",
        at=("model",),
        sign=r"patch_embed\.proj\.weight",
        position_rule="size",
    ),
    Format(
        name="state-dict",
        about="timm's names behind one prefix, as Lightning and DDP save them",
        at=("state_dict", "model", "model_state_dict", ""),
        sign=rf"({WRAPPERS})?patch_embed\.proj\.weight",
        strip=WRAPPERS,
    ),
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A file's weights by our names, and how they came to that."""

    format: Format
    where: str  # path inside the file
    state: State
    renamed: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


def recognise(
    content: Mapping[str, Any],
    *,
    subject: str,
    state_key: str | None = None,
    ignore: tuple[str, ...] = (),
) -> Recognised:
    """Find the layout of a file and give its weights our names.

    Args:
        content: What the file holds.
        subject: What an error names.
        state_key: Dotted path of the weights inside the file, instead of the layout's own.
        ignore: More patterns of keys to leave out.

    Raises:
        CheckpointError: If no layout fits; lists what the file holds.
        StateMismatch: If two keys of the file get the same name.
    """
    for layout in FORMATS:
        for where in layout.at if state_key is None else (state_key,):
            tensors = dict(_tensors(_inside(content, where)))
            if any(re.fullmatch(layout.sign, key) for key in tensors):
                return _renamed(layout, where, tensors, subject, (*layout.ignore, *ignore))
    raise CheckpointError(
        f"{subject}: no known layout of a Vision Transformer's weights.",
        expected=f"one of {listed([layout.name for layout in FORMATS])}"
        + (f" at {state_key!r}" if state_key else ""),
        found=listed(list(map(str, content))),
        hint="--state-key PATH says where inside the file the weights are (such as model.encoder)",
    )


def _renamed(
    layout: Format, where: str, tensors: dict[str, Tensor], subject: str, ignore: tuple[str, ...]
) -> Recognised:
    state: dict[str, Tensor] = {}
    renamed, ignored = [], []
    for key, tensor in tensors.items():
        name = layout.our_name(key)
        if any(fnmatchcase(name, pattern) for pattern in ignore):
            ignored.append(key)
            continue
        if name in state:
            raise StateMismatch(
                f"{subject}: two keys of the file would both become {name!r}.",
                found=f"{key} and another, in {where or 'the file'}",
                hint="--state-key PATH chooses one of them",
            )
        state[name] = tensor
        if name != key:
            renamed.append((key, name))
    return Recognised(layout, where or "the file", state, tuple(renamed), tuple(ignored))


def _inside(content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Follow a dotted path; nothing there is an empty mapping."""
    here: Any = content
    for step in filter(None, where.split(".")):
        here = here.get(step) if isinstance(here, Mapping) else None
    return here if isinstance(here, Mapping) else {}


def _tensors(mapping: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    return ((str(key), value) for key, value in mapping.items() if isinstance(value, Tensor))
