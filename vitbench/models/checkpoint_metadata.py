"""Facts that a weight file holds beside its tensors."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vitbench.errors import CheckpointError
from vitbench.models.backbone import AnyArchitecture
from vitbench.models.constants import VIT_SIZES, Activation, Pooling, PositionRule
from vitbench.models.limits import Epsilon, Heads, Mean, Size, Std
from vitbench.models.weight_file import WeightFile


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetadata:
    """Facts that a weight file holds; None where it holds none. Our own files hold all."""

    architecture: AnyArchitecture | None = None
    arch: str | None = None  # its name, where only that is told
    heads: Heads | None = None
    heads_from: str = "the file"  # who says the heads, in words
    native_px: Size | None = None  # image size that a Swin was made for
    norm_eps: Epsilon | None = None
    activation: Activation | None = None
    pooling: Pooling | None = None  # image-level feature that the weights were trained for
    method: str = ""
    mean: Mean | None = None
    std: Std | None = None
    position_rule: PositionRule | None = None


FACTS = TypeAdapter(CheckpointMetadata)
METADATA = "vitbench"  # key of our facts in the metadata of our own files


def metadata_of(file: WeightFile) -> CheckpointMetadata:
    """Read the facts in a file: our metadata, or the arguments of a training run."""
    own = file.metadata.get(METADATA)
    if own is not None:
        return checked_metadata(own, "this file's own facts")
    arguments = file.content.get("args")
    said = getattr(arguments, "arch", "") if isinstance(arguments, Namespace) else ""
    size = str(said).removeprefix("vit_").removeprefix("deit_")
    if size not in VIT_SIZES:
        return CheckpointMetadata()
    return CheckpointMetadata(
        heads=VIT_SIZES[size][2], heads_from=f"the file's arguments, arch {said}"
    )


def checked_metadata(told: Mapping[str, Any], where: str) -> CheckpointMetadata:
    """Take facts from a document of a stranger.

    Args:
        told: The fields of `CheckpointMetadata` that it tells.
        where: What an error names.

    Raises:
        CheckpointError: Naming every field that is wrong.
    """
    try:
        return FACTS.validate_python(told)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']}" for e in error.errors()]
        raise CheckpointError(
            f"{where} can't be used: {len(wrong)} fields are wrong.", found="; ".join(wrong[:10])
        ) from error
