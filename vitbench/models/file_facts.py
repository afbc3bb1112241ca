"""What a file of weights says of itself, beside its tensors."""

from argparse import Namespace
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from vitbench.errors import CheckpointError
from vitbench.models.architecture import SIZES
from vitbench.models.backbone import AnyArchitecture
from vitbench.models.facts import PositionRule, Triple
from vitbench.models.weight_file import WeightFile


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file says of itself; None where it is silent. Our own files say all of it."""

    architecture: AnyArchitecture | None = None
    heads: int | None = None
    norm_eps: float | None = None
    method: str = ""
    mean: Triple | None = None
    std: Triple | None = None
    position_rule: PositionRule | None = None


FACTS = TypeAdapter(FileFacts)
METADATA = "vitbench"  # key of our facts in the metadata of our own files


def facts_of(file: WeightFile) -> FileFacts:
    """Read what a file says of itself: our metadata, or the arguments of a training run."""
    own = file.metadata.get(METADATA)
    if own is not None:
        try:
            return FACTS.validate_python(own)
        except ValidationError as error:
            raise CheckpointError(
                "this file's own facts can't be read.", found=str(error.errors()[0]["msg"])
            ) from error
    arguments = file.content.get("args")
    said = getattr(arguments, "arch", "") if isinstance(arguments, Namespace) else ""
    size = str(said).removeprefix("vit_").removeprefix("deit_")
    return FileFacts(heads=SIZES[size][2] if size in SIZES else None)
