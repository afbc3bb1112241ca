"""Recognize the layout of a weight file and rename its keys to ours."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from vitbench.errors import CheckpointError, StateMismatch, listed
from vitbench.models.architecture import Shape
from vitbench.models.constants import Activation, PositionRule
from vitbench.models.families import PLAIN, family_of, hint_for
from vitbench.models.state_dict import State
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_families import Known
from vitbench.models.weight_places import inside, prefix_hint, tensors_of, weight_places
from vitbench.models.weight_values import check_dense

HEADS = ("head.*", "head_dist.*", "fc.*", "pre_logits.*")
DERIVED = ("*.relative_position_index", "*.attn_mask")  # a Swin's buffers, made again from nothing
# what torch.compile, FSDP, checkpointing, Fabric and DDP put into names
WRAPPED = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
)
PARALLEL = re.compile(r"^(?:module\.)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One layout: where the weights are, how their names become ours, what is left out."""

    name: str
    about: str
    at: tuple[str, ...]  # dotted paths, inside the file, where the weights may be; "" is the top
    signs: tuple[str, ...]  # patterns: each matches some key there in full, wrappers taken off
    anywhere: bool = False  # no other layout has these signs, so a user may say another place
    strip: str = ""  # pattern taken off the front of every key
    rename: tuple[tuple[str, str], ...] = ()  # patterns and replacements, in order, after `strip`
    ignore: tuple[str, ...] = HEADS  # shell patterns of our names that are left out on purpose
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None  # after renaming
    method: str = ""  # what the layout says of how the weights were trained
    heads: int | None = None  # where every file of this layout has the same
    head_dim: int | None = None  # likewise
    position_rule: PositionRule = "dino"
    norm_eps: float | None = None  # of a ViT, where the layout's code differs from the field's 1e-6
    swin_norm_eps: float = 1e-5
    activation: Activation | None = None  # of every file of this layout that says no other
    network: Callable[[Mapping[str, Shape], Known], TimmArchitecture] | None = None  # of timm

    def places(self, state_key: str | None) -> tuple[str, ...]:
        """Return where this layout's weights may be, given what the user says."""
        if state_key is None:
            return self.at
        return (state_key,) if self.anywhere or state_key in self.at else ()

    def our_name(self, key: str) -> str:
        """Return timm's name of a key of the file."""
        key = unwrapped(key)
        key = re.sub(f"^{self.strip}", "", key) if self.strip else key
        for pattern, replacement in self.rename:
            key = re.sub(pattern, replacement, key)
        return key

    def heads_of(self, embed_dim: int) -> int | None:
        """Return the attention heads that every file of this layout and width has."""
        return embed_dim // self.head_dim if self.head_dim else self.heads


@dataclass(frozen=True, slots=True)
class Recognized:
    """A file's weights by our names, and how they came to that."""

    format: Format
    where: str  # path inside the file
    state: State
    renamed: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    derived: Mapping[str, Shape]  # buffers among the ignored, by our names
    others: tuple[str, ...]  # paths of more weights in the file


def unwrapped(key: str) -> str:
    """Return a key without the parts that wrappers such as DDP and FSDP put into it."""
    return PARALLEL.sub("", WRAPPED.sub("", key))


def recognize(
    content: Mapping[str, Any],
    formats: Sequence[Format],
    *,
    subject: str,
    state_key: str | None = None,
    ignore: tuple[str, ...] = (),
) -> Recognized:
    """Find the layout of a file and give its weights our names.

    Args:
        content: What the file holds.
        formats: The layouts; the first that fits counts.
        subject: What an error names.
        state_key: Dotted path of the weights inside the file, instead of the layout's own.
        ignore: More patterns of keys to leave out.

    Raises:
        CheckpointError: If no layout fits; lists what the file holds.
        StateMismatch: If two keys of the file get the same name.
    """
    for layout in formats:
        for where in layout.places(state_key):
            tensors = tensors_of(inside(content, where))
            keys = [unwrapped(key) for key in tensors]
            if all(any(re.fullmatch(sign, key) for key in keys) for sign in layout.signs):
                others = tuple(path for path in weight_places(content) if path != where)
                return _renamed(layout, where, tensors, subject, (*layout.ignore, *ignore), others)
    raise _unknown(content, formats, subject, state_key)


def _unknown(
    content: Mapping[str, Any], formats: Sequence[Format], subject: str, state_key: str | None
) -> CheckpointError:
    places = weight_places(content)
    family = family_of(content if state_key is None else inside(content, state_key))
    if family:
        return CheckpointError(
            f"{subject}: these are weights of {family}, which is no plain ViT or Swin.",
            expected=PLAIN,
            found=listed(list(map(str, content))),
            hint=hint_for(family),
        )
    prefixed = prefix_hint(key for path in places for key in tensors_of(inside(content, path)))
    return CheckpointError(
        f"{subject}: no known layout of a Vision Transformer's weights"
        + (f" at {state_key!r}." if state_key else "."),
        expected=f"one of {', '.join(layout.name for layout in formats)}",
        found=listed(list(map(str, content))),
        hint=prefixed
        or "--state-key PATH says where inside the file the weights are; here "
        + (" or ".join(path or "(left out)" for path in places) if places else "none are known"),
    )


def _renamed(
    layout: Format,
    where: str,
    tensors: Mapping[str, Tensor],
    subject: str,
    ignore: tuple[str, ...],
    others: tuple[str, ...],
) -> Recognized:
    state: dict[str, Tensor] = {}
    derived: dict[str, Shape] = {}
    renamed, ignored = [], []
    for key, tensor in tensors.items():
        name = layout.our_name(key)
        if any(fnmatchcase(name, pattern) for pattern in DERIVED):
            derived[name] = () if tensor.is_nested else tuple(tensor.shape)
        if name in derived or any(fnmatchcase(name, pattern) for pattern in ignore):
            ignored.append(key)
            continue
        if name in state:
            raise StateMismatch(
                f"{subject}: two keys of the file would both become {name!r}.",
                found=f"{key} and another, in {where or 'the file'}",
                hint="--state-key PATH or --prefix TEXT chooses one of them",
            )
        state[name] = tensor
        if name != key:
            renamed.append((key, name))
    check_dense(state, subject=subject)
    return Recognized(
        layout,
        where or "the file",
        _converted(layout, state, subject),
        tuple(renamed),
        tuple(ignored),
        derived,
        others,
    )


def _converted(layout: Format, state: dict[str, Tensor], subject: str) -> dict[str, Tensor]:
    try:
        return layout.convert(state) if layout.convert else state
    except (KeyError, RuntimeError, IndexError) as error:
        raise StateMismatch(
            f"{subject}: looks like {layout.about}, but can't be converted.",
            found=f"{type(error).__name__}: {error}",
        ) from error
