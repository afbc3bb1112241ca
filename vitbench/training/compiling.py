"""Networks that are compiled by torch.compile, and the way back where that fails."""

import logging
from collections.abc import Iterable, Iterator

from torch import nn

from vitbench.models.class_attention import ClassAttention
from vitbench.training.student_teacher import Network

log = logging.getLogger("vitbench")


def compile_networks(networks: Iterable[Network]) -> None:
    """Compile what takes most of a step: backbones, class attention, heads.

    Each is one graph, for any number of crops; parts of a loss that are chunked stay as they are.
    """
    for part in _parts(networks):
        part.compile()


def leave_uncompiled(networks: Iterable[Network], error: Exception) -> None:
    """Take compiled parts back, and say why."""
    told = str(error).strip().splitlines()[0]
    log.warning("torch.compile failed, going on without (--compile off): %s", told)
    for part in _parts(networks):
        part._compiled_call_impl = None


def _parts(networks: Iterable[Network]) -> Iterator[nn.Module]:
    for network in networks:
        yield network.backbone
        # protocols and terms pool tokens by themselves, outside of the backbone's pass
        yield from (part for part in network.backbone.modules() if isinstance(part, ClassAttention))
        yield from network.heads.values()
