"""How timm builds a network of an architecture, and for which sizes of images it can."""

import inspect
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import torch
from timm import create_model
from timm.layers.drop import DropPath
from timm.models import model_entrypoint
from timm.models._manipulate import reinit_non_persistent_buffers
from torch import nn

from vitbench.errors import MissingAbility
from vitbench.models.layers import put_layers
from vitbench.models.state_dict import State
from vitbench.models.timm_architecture import TimmArchitecture

KEPT_SIZES = 256  # image sizes whose check is remembered
Size = tuple[int, int]  # (H, W) in pixels
Conversion = Callable[[Any, Any], Any]
REFUSALS = (AssertionError, RuntimeError, ValueError)  # of a network that can't take a size
# of a builder that can't build for a size, or of a conversion that can't convert
MISFITS = (*REFUSALS, AttributeError, IndexError, KeyError, TypeError, ZeroDivisionError)


def create(
    architecture: TimmArchitecture, drop_path: float = 0.0, image_size: Size | None = None
) -> Any:
    """Let timm build a network without classifier, on torch's current device.

    Args:
        architecture: What to build.
        drop_path: Stochastic depth of the last block.
        image_size: Native size (H, W) in place of the architecture's own; left out: of images of
            any size, where timm can.

    Raises:
        MissingAbility: If `drop_path` is above 0 and timm's builder knows no stochastic depth.
    """
    options: dict[str, Any] = {"num_classes": 0, **dict(architecture.options)}
    if drop_path:
        options["drop_path_rate"] = drop_path
    sizes: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {})
    for more in sizes if image_size is None else ({"img_size": image_size},):
        try:
            network = create_model(architecture.timm_name, pretrained=False, **{**options, **more})
        except TypeError as error:  # of a builder that does not know the argument
            told = str(error)
            if "dynamic_img_size" in told:
                continue
            if "drop_path_rate" in told:
                raise MissingAbility(
                    f"{architecture.name} has no stochastic depth.", hint="a drop path of 0"
                ) from error
            raise
        if architecture.every_norm_eps:
            _set_norms(network, architecture.every_norm_eps)
        return network
    raise AssertionError("unreachable")


def takes_any(network: Any) -> bool:
    """Whether timm built a network for images of any size."""
    told = network.pretrained_cfg.get("fixed_input_size", False)
    return not told or bool(getattr(network, "dynamic_img_size", False))


@lru_cache(maxsize=KEPT_SIZES)
def way_to_take(
    architecture: TimmArchitecture, size: Size
) -> Literal["as it is", "rebuilt", "not at all"]:
    """Return how a network takes images of a size; tried without weights or arithmetic."""
    with torch.device("meta"), torch.no_grad():
        if _runs(create(architecture).eval(), size):
            return "as it is"
        try:
            other = create(architecture, image_size=size).eval()
        except MISFITS:
            return "not at all"
        own = create(architecture).state_dict()
    blank = {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in own.items()}
    fits = _resized(architecture, blank, other) is not None
    return "rebuilt" if fits and _runs(other, size) else "not at all"


@lru_cache(maxsize=KEPT_SIZES)
def map_sizes(architecture: TimmArchitecture, size: Size) -> tuple[Size, ...]:
    """Return the size (h, w) of every layer's map for images of a size that can be taken."""
    as_it_is = way_to_take(architecture, size) == "as it is"
    with torch.device("meta"), torch.no_grad():
        network = create(architecture, image_size=None if as_it_is else size).eval()
        images = torch.empty(1, 3, *size)
        maps = network.forward_intermediates(images, intermediates_only=True)
    return tuple((each.shape[-2], each.shape[-1]) for each in maps)


@lru_cache(maxsize=KEPT_SIZES)
def drop_paths(architecture: TimmArchitecture) -> tuple[tuple[str, float], ...]:
    """Return the names of a network's drop paths and how deep each lies: 1 is the last block.

    They are those that timm builds when it is asked for stochastic depth: without it, some
    networks have none. The depth is the rate over the rate asked for.
    """
    try:
        with torch.device("meta"):
            network = create(architecture, drop_path=0.5)
    except MissingAbility:
        return ()
    return tuple(
        (name, (getattr(module, "drop_prob", None) or 0.0) / 0.5)
        for name, module in network.named_modules()
        if name.rpartition(".")[2].startswith("drop_path")
        and isinstance(module, DropPath | nn.Identity)
    )


def rebuild(architecture: TimmArchitecture, network: Any, size: Size) -> Any:
    """Build a network again for another size of images, with the weights of `network`.

    timm's own conversion resizes what depends on the size, such as relative positions; all other
    weights are shared, not copied.
    """
    first = next(network.parameters())
    with torch.device("meta"):
        other = create(architecture, image_size=size)
    put_layers(other)
    other.requires_grad_(False)  # weights made in inference mode can't ask for gradients
    with torch.no_grad():
        state = _resized(architecture, network.state_dict(), other)
        assert state is not None, "asked for a size that `way_to_take` refuses"
        other.to(first.dtype).to_empty(device=first.device)
        other.load_state_dict(state, assign=True)
        reinit_non_persistent_buffers(other)
    return other.eval()


def conversion_of(architecture: TimmArchitecture) -> Conversion | None:
    """Return timm's own conversion of other names and sizes to a network's, if it has one."""
    module = inspect.getmodule(model_entrypoint(architecture.timm_name))
    found: Conversion | None = getattr(module, "checkpoint_filter_fn", None)
    return found


def _resized(architecture: TimmArchitecture, state: State, other: Any) -> State | None:
    """Return weights as a network built for another size has them, or None if timm can't."""
    wanted = {name: value.shape for name, value in other.state_dict().items()}
    if {name: value.shape for name, value in state.items()} == wanted:
        return state
    convert = conversion_of(architecture)
    if convert is None:
        return None
    try:
        with warnings.catch_warnings():  # of timm's own code, about speed and future versions
            warnings.simplefilter("ignore", UserWarning)
            found: State = convert(dict(state), other)
    except MISFITS:
        return None
    return found if {name: value.shape for name, value in found.items()} == wanted else None


def _runs(network: Any, size: Size) -> bool:
    with torch.device("meta"), torch.no_grad():
        try:
            final, _ = network.forward_intermediates(torch.empty(1, 3, *size))
            if hasattr(network, "forward_head"):  # it may want more of a size than the blocks
                network.forward_head(final, pre_logits=True)
        except REFUSALS as error:
            return "meta tensor" in str(error)  # what needs numbers can't be tried so
    return True


def _set_norms(network: nn.Module, eps: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = eps
