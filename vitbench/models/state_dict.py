"""Account for every key of a state dict in both directions, and give the weights an identity."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vitbench.errors import StateMismatch, listed
from vitbench.models.families import family_of_keys, hint_for
from vitbench.models.weight_places import prefix_hint

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Accounting:
    """Counts of the used, renamed and ignored keys of a file; together they are all its keys."""

    used: int  # keys that fill a parameter
    renamed: tuple[tuple[str, str], ...]  # (name in the file, our name), among the used
    ignored: tuple[str, ...]  # names in the file that were left out on purpose

    def summary(self) -> str:
        """Return the counts as one line."""
        return f"{self.used} keys used ({len(self.renamed)} renamed), {len(self.ignored)} ignored"


def check_complete(state: State, expected: State, *, subject: str, where: str) -> None:
    """Demand that a state dict fills a model exactly: same names, same shapes.

    Args:
        state: Tensors by our names, what is ignored already taken out.
        expected: The parameters of the model; only their shapes count.
        subject: What the error names, such as the checkpoint.
        where: Where in the file the weights were, for the error.

    Raises:
        StateMismatch: With at most ten keys of each kind.
    """
    left_over = [key for key in state if key not in expected]
    missing = [key for key in expected if key not in state]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted.shape)}"
        for key, wanted in expected.items()
        if key in state and state[key].shape != wanted.shape
    ]
    if not left_over and not missing and not shapes:
        return
    counts = (
        (left_over, "of the file were not used"),
        (missing, "of the model were not filled"),
        (shapes, "have another shape"),
    )
    told = [f"{len(keys)} keys {what}" for keys, what in counts if keys]
    found = [
        f"{label}: {listed(keys)}"
        for keys, label in ((left_over, "not used"), (missing, "not filled"), (shapes, "shape"))
        if keys
    ]
    family = family_of_keys(state)
    raise StateMismatch(
        f"{subject}: {', '.join(told)}."
        if not family
        else f"{subject}: these are weights of {family}, which is no plain ViT or Swin.",
        expected=f"all {len(expected)} parameters filled and every key used or ignored",
        found="; ".join([*found, f"in {where}, {len(state)} keys"]),
        hint=hint_for(family) if family else _hint(left_over),
    )


def _hint(left_over: Collection[str]) -> str:
    """Return what to do about keys that were not used."""
    prefixed = prefix_hint(left_over)
    if prefixed:
        return f"the file holds several networks: {prefixed} takes another; --prefix backbone. (or"
        " what its keys begin with) takes this one alone"
    return "another --state-key, or --ignore PATTERN for keys that are not needed"


def content_sha256(state: State) -> str:
    """Hash tensors by value: the same weights in another wrapper are the same checkpoint.

    Over the tensors sorted by name: name, shape and values in single precision, which the network
    computes with, so that a file that holds the same numbers in half precision counts as equal
    (little-endian, row-major).
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().float().contiguous()
        digest.update(f"{name}|float32|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
