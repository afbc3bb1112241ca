"""Weights that timm fetches by itself, and what it says of them."""

from dataclasses import dataclass
from typing import Any

from timm import create_model
from torch import Tensor

from vitbench.errors import CheckpointError
from vitbench.models.architecture import Architecture
from vitbench.models.facts import Triple
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_backbone import plain_vit
from vitbench.models.timm_network import described


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """Weights that timm fetched, and what it says of them."""

    architecture: Architecture | TimmArchitecture
    state: dict[str, Tensor]
    mean: Triple
    std: Triple


def pretrained_by_timm(name: str) -> Pretrained:
    """Fetch one of timm's pretrained networks.

    Args:
        name: `architecture.tag`, or `hf-hub:ID`.

    Raises:
        CheckpointError: If it can't be fetched.
    """
    try:
        network: Any = create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"timm can't give {name!r}.",
            found=f"{type(error).__name__}: {str(error).splitlines()[0][:200]}",
            hint="timm.list_models(pretrained=True) lists the names; the network must be reachable",
        ) from error
    config: Any = network.pretrained_cfg
    arch = config["architecture"]
    return Pretrained(
        architecture=plain_vit(network, arch) or described(network, arch),
        state=network.state_dict(),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
