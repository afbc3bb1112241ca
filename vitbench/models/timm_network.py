"""Any network of timm as a `Backbone`, through timm's own `forward_intermediates`."""

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal, TypeVar

import torch
from timm import create_model
from timm.layers.drop import DropPath
from timm.models import model_entrypoint
from timm.models._manipulate import reinit_non_persistent_buffers
from torch import Tensor, nn

from vitbench.errors import MissingAbility, SettingError
from vitbench.models.backbone import Backbone, BackboneInfo, Features, Stage, refused_size
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, Triple
from vitbench.models.initialization import seeded
from vitbench.models.linear import put_linear_layers
from vitbench.models.state_dict import State
from vitbench.models.timm_architecture import TimmArchitecture

COUNTERS = ".num_batches_tracked"  # of batch norms; they move no feature, and old files lack them
T = TypeVar("T")
KEPT_SIZES = 256  # image sizes whose check is remembered


class TimmNetwork(Backbone):
    """A network of timm; its parameters are on the meta device until they are filled.

    A layer is what timm's `forward_intermediates` counts: a block of a transformer, a stage of a
    convolutional network or a pyramid. Its map is timm's. With `norm`, maps pass the final norm
    wherever timm applies it: every block of a transformer, the last stage of a pyramid, none where
    the norm belongs to the head.

    `pooled` of the last layer is what the network pools by itself before its classifier; it may
    be wider than the map. Of earlier layers, and of raw ones (`norm=False`), `pooled` is the class
    token of networks that pool by one and give it, else the mean of the map.

    Images of a size that is no multiple of the patch are cropped where timm would refuse them.

    Args:
        architecture: What to build.
        pooled_from: "mean_pool": the mean of the map in every layer.
        mean: Input normalization.
        std: Input normalization.
        drop_path: Stochastic depth of the last block, by timm's own schedule.

    Raises:
        MissingAbility: If `drop_path` is above 0 and timm's builder knows no stochastic depth.
    """

    def __init__(
        self,
        architecture: TimmArchitecture,
        *,
        pooled_from: Literal["own", "mean_pool"] = "own",
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.architecture: TimmArchitecture = architecture
        with torch.device("meta"):
            network = _create(architecture, drop_path)
        put_linear_layers(network)
        self.network = network
        self._drop_paths = [
            (name, getattr(module, "drop_prob", None) or 0.0)
            for name, module in network.named_modules()
            if name.rpartition(".")[2].startswith("drop_path")
            and isinstance(module, DropPath | nn.Identity)
        ]
        prefix = getattr(network, "num_prefix_tokens", None) or 0
        accepted = inspect.signature(network.forward_intermediates).parameters
        self._prefix = prefix if "return_prefix_tokens" in accepted else 0
        self._by_class_token = self._prefix > 0 and network.global_pool in ("token", "map")
        self._normed = not type(network).__name__.startswith("Hiera")  # its norm is in its head
        # timm's encoders of vision-language models have no head, so they don't pool
        self._pools = pooled_from == "own" and not type(network).__name__.endswith("Encoder")
        # one grid of tokens for all layers; pyramids pad by themselves
        self._crops = _takes_any(network) and hasattr(network, "blocks")
        self.info = _info(architecture, network, self._pools, prefix, mean, std)

    def forward(
        self, images: Tensor, layers: Sequence[int] = (-1,), *, norm: bool = True
    ) -> tuple[Features, ...]:
        """See `Backbone.forward`.

        Raises:
            MissingAbility: If the network can't take images of this size.
        """
        wanted = [self.info.absolute(layer) for layer in layers]
        if not wanted:
            return ()
        images = self._cropped(images)
        try:
            found = self._run(images, sorted(set(wanted)), norm)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError, ValueError) as error:
            height, width = images.shape[-2:]
            if (height, width) == self.info.image_size:
                raise
            raise refused_size(self.info, height, width) from error
        return tuple(found[index] for index in wanted)

    def own_state(self) -> State:
        """Return the weights by timm's names, without the batch norms' counters."""
        state: dict[str, Tensor] = self.network.state_dict()
        return {name: value for name, value in state.items() if not name.endswith(COUNTERS)}

    def fill(self, state: State) -> None:
        """See `Backbone.fill`; what timm derives from the architecture is computed anew."""
        super().fill(state)
        with torch.no_grad():
            for name, buffer in self.network.named_buffers():
                if name.endswith(COUNTERS):
                    buffer.zero_()
            reinit_non_persistent_buffers(self.network)

    def reset_weights(self, seed: int) -> None:
        """See `Backbone.reset_weights`; the first values are drawn as timm draws them."""
        fresh = seeded(_create, self.architecture, seed=seed)
        if any(parameter.is_meta for parameter in self.parameters()):
            self.to_empty(device="cpu")
        self.fill(fresh.state_dict())

    def check_images(self, height: int, width: int) -> None:
        """See `Backbone.check_images`."""
        unit = self.info.patch_size if self._crops else 1
        size = (height // unit * unit, width // unit * unit)
        if size != self.info.image_size and not _takes(self.architecture, size):
            raise refused_size(self.info, height, width)

    def replace_drop_path(self, make: Callable[[int, float], nn.Module]) -> None:
        """See `Backbone.replace_drop_path`."""
        if not self._drop_paths:
            super().replace_drop_path(make)
        for branch, (name, rate) in enumerate(self._drop_paths):
            self.network.set_submodule(name, make(branch, rate))

    def _run(self, images: Tensor, indices: list[int], norm: bool) -> dict[int, Features]:
        """Return the features of the layers asked for, in rising order."""
        last = self.info.depth - 1
        options: dict[str, Any] = {"indices": indices, "norm": norm and self._normed}
        if self._prefix:
            options["return_prefix_tokens"] = True
        whole = self._pools and norm and indices[-1] == last
        if whole:
            final, maps = self.network.forward_intermediates(images, **options)
        else:
            early = {"stop_early": True, "intermediates_only": True}
            maps = self.network.forward_intermediates(images, **options, **early)
        found = {index: self._features(each) for index, each in zip(indices, maps, strict=True)}
        if whole:
            pooled: Tensor = self.network.forward_head(final, pre_logits=True)
            found[last] = Features(pooled, found[last].patches)
        return found

    def _features(self, given: Any) -> Features:
        """Make features of a map (B, D, h, w), or of a pair of a map and prefix tokens."""
        patches, prefix = given if isinstance(given, tuple) else (given, None)
        if prefix is not None and self._by_class_token and self._pools:
            return Features(prefix[:, 0], patches)
        return Features(patches.mean(dim=(2, 3)), patches)

    def _cropped(self, images: Tensor) -> Tensor:
        """Cut off what exceeds a multiple of the patch, where timm would refuse it."""
        height, width = images.shape[-2:]
        patch = self.info.patch_size
        if min(height, width) < patch:
            raise SettingError(
                [f"an image of {height} x {width} is smaller than a patch ({patch})"]
            )
        if not self._crops:
            return images
        return images[..., : height // patch * patch, : width // patch * patch]


def described(network: Any, arch: str) -> TimmArchitecture:
    """Return what builds a network again, from the network as timm built it."""
    _, height, width = network.pretrained_cfg["input_size"]
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in getattr(network, "_model_args", {}).items()
        if name not in ("num_classes", "drop_path_rate", "drop_rate")
    }
    return TimmArchitecture(
        timm_name=arch,
        image_size=(height, width),
        heads=_last(network, "num_heads", int, 0),
        norm_eps=_last(network, "eps", float, 0.0),
        options=tuple(sorted(options.items())),
    )


def conversion_of(network: TimmNetwork) -> Callable[[Any, Any], Any] | None:
    """Return timm's own conversion of other names to those of a network, if it has one."""
    module = inspect.getmodule(model_entrypoint(network.architecture.timm_name))
    found: Callable[[Any, Any], Any] | None = getattr(module, "checkpoint_filter_fn", None)
    return found


def classifier_names(architecture: TimmArchitecture) -> set[str]:
    """Return the names of the weights that a network has for the sake of its classes."""
    options: dict[str, Any] = dict(architecture.options)
    with torch.device("meta"):
        network: Any = create_model(architecture.timm_name, **{**options, "num_classes": 1})
        return set(network.state_dict()) - set(_create(architecture).state_dict())


def _last(network: Any, fact: str, kind: type[T], default: T) -> T:
    """Return a fact of the last module that has it as a plain number."""
    values = (getattr(module, fact, None) for module in network.modules())
    return ([value for value in values if isinstance(value, kind)] or [default])[-1]


def _create(architecture: TimmArchitecture, drop_path: float = 0.0) -> Any:
    """Let timm build a network without classifier, for images of any size where it can."""
    options: dict[str, Any] = {"num_classes": 0, **dict(architecture.options)}
    if drop_path:
        options["drop_path_rate"] = drop_path
    for more in ({"dynamic_img_size": True}, {}):
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


def _set_norms(network: nn.Module, eps: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = eps


def _info(
    architecture: TimmArchitecture,
    network: Any,
    pools: bool,
    prefix: int,
    mean: Triple,
    std: Triple,
) -> BackboneInfo:
    told = network.feature_info
    layers = [(one["num_chs"], one["reduction"]) for one in getattr(told, "info", told)]
    stages = tuple(
        Stage(len(list(same)), width, stride) for (width, stride), same in groupby(layers)
    )
    dim, stride = layers[-1]
    height, width = architecture.image_size
    return BackboneInfo(
        arch=architecture.name,
        embed_dim=dim,
        patch_size=stride,
        depth=len(layers),
        heads=architecture.heads,
        grid=(-(-height // stride), -(-width // stride)),
        prefix_tokens=prefix,
        pooled_from="own" if pools else "mean_pool",
        position_rule="own",
        mean=mean,
        std=std,
        stages=stages if len(stages) > 1 else (),
        native_px=architecture.image_size,
        fixed_size=_fixed(architecture, network, stride),
        pooled_dim=network.head_hidden_size if pools else None,
    )


def _takes_any(network: Any) -> bool:
    """Whether timm built the network for images of any size."""
    return bool(getattr(network, "dynamic_img_size", False))


def _fixed(architecture: TimmArchitecture, network: Any, stride: int) -> bool:
    """Whether the native size is the only one, but for exceptions that are checked one by one."""
    told = network.pretrained_cfg.get("fixed_input_size", False)
    if not told or _takes_any(network):
        return False
    height, width = architecture.image_size
    return not _takes(architecture, (height + stride, width + 2 * stride))


@lru_cache(maxsize=KEPT_SIZES)
def _takes(architecture: TimmArchitecture, size: tuple[int, int]) -> bool:
    """Whether a network runs on images of a size (H, W); tried without weights or arithmetic."""
    with torch.device("meta"), torch.no_grad():
        network = _create(architecture).eval()
        try:
            network.forward_intermediates(torch.empty(1, 3, *size), intermediates_only=True)
        except (AssertionError, RuntimeError, ValueError) as error:
            return "meta tensor" in str(error)  # what needs numbers can't be tried so
    return True
