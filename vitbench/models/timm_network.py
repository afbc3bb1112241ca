"""Any network of timm as a `Backbone`, through timm's own `forward_intermediates`."""

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal, Self

import torch
from timm.models._manipulate import group_parameters, reinit_non_persistent_buffers
from torch import Tensor, nn

from vitbench.errors import MissingAbility, SettingError
from vitbench.models.backbone import (
    Backbone,
    Features,
    no_attention,
    no_drop_path,
    refuse_mask,
    refused_size,
)
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, PositionRule, Triple
from vitbench.models.initialization import seeded
from vitbench.models.layers import put_layers
from vitbench.models.patch_mask import PatchMask
from vitbench.models.recorded_attention import fuse, last_attention
from vitbench.models.state_dict import State
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_build import (
    REFUSALS,
    Size,
    create,
    drop_paths,
    map_sizes,
    rebuild,
    takes_any,
    way_to_take,
)
from vitbench.models.timm_info import describe_network

COUNTERS = ".num_batches_tracked"  # of batch norms; they move no feature, and old files lack them
# convolutional networks whose code takes maps in any memory layout, and that are faster so
CHANNELS_LAST = ("ResNet", "EfficientNet", "MobileNetV3", "RegNet")
KEPT_NETWORKS = 8  # rebuilt for other sizes of images


class TimmNetwork(Backbone):
    """A network of timm; its parameters are on the meta device until they are filled.

    A layer is what timm's `forward_intermediates` counts: a block of a transformer, a stage of a
    convolutional network or a pyramid. Its map is timm's. With `norm`, maps pass the final norm
    wherever timm applies it: every block of a transformer, the last stage of a pyramid, none where
    the norm belongs to the head.

    `pooled` of the last layer is what the network pools by itself before its classifier; it may
    be wider than the map. Of earlier layers, and of raw ones (`norm=False`), `pooled` is the class
    token of networks that pool by one and give it, else the mean of the map.

    Images of a size that is no multiple of the patch are cropped where timm would refuse them. A
    network that timm builds for one size is built again for another, its weights converted as timm
    converts them on loading with `img_size`; where timm can't, the size is refused.

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
            network = create(architecture, drop_path)
        put_layers(network)
        self.network = network
        self._drop_path = drop_path
        prefix = getattr(network, "num_prefix_tokens", None) or 0
        accepted = inspect.signature(network.forward_intermediates).parameters
        self._prefix = prefix if "return_prefix_tokens" in accepted else 0
        self._by_class_token = self._prefix > 0 and network.global_pool in ("token", "map")
        self._normed = not type(network).__name__.startswith("Hiera")  # its norm is in its head
        # timm's encoders of vision-language models have no head, so they don't pool
        self._pools = pooled_from == "own" and not type(network).__name__.endswith("Encoder")
        # one grid of tokens for all layers; pyramids pad by themselves
        dynamic = bool(getattr(network, "dynamic_img_size", False))
        self._crops = dynamic and hasattr(network, "blocks")
        self._any_size = takes_any(network)
        self._rebuilt: dict[Any, Any] = {}  # for other sizes of images, while frozen
        self.info = describe_network(architecture, network, self._pools, prefix, mean, std)

    def forward(
        self,
        images: Tensor,
        layers: Sequence[int] = (-1,),
        *,
        norm: bool = True,
        mask: PatchMask | None = None,
    ) -> tuple[Features, ...]:
        """See `Backbone.forward`.

        Raises:
            MissingAbility: If the network can't take images of this size.
        """
        refuse_mask(self.info, mask)
        wanted = [self.info.absolute(layer) for layer in layers]
        if not wanted:
            return ()
        images = self._cropped(images)
        network = self._network_for((images.shape[-2], images.shape[-1]))
        try:
            found = self._run(network, images, sorted(set(wanted)), norm)
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
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
        self._rebuilt.clear()
        with torch.no_grad():
            for name, buffer in self.network.named_buffers():
                if name.endswith(COUNTERS):
                    buffer.zero_()
            reinit_non_persistent_buffers(self.network)
        if type(self.network).__name__ in CHANNELS_LAST:
            self.network.to(memory_format=torch.channels_last)

    def reset_weights(self, seed: int) -> None:
        """See `Backbone.reset_weights`; the first values are drawn as timm draws them."""
        fresh = seeded(create, self.architecture, seed=seed)
        if any(parameter.is_meta for parameter in self.parameters()):
            self.to_empty(device="cpu")
        self.fill(fresh.state_dict())

    def train(self, mode: bool = True) -> Self:
        """Set the mode; what was rebuilt is forgotten when weights may change."""
        if mode:
            self._rebuilt.clear()
        return super().train(mode)

    def check_images(self, height: int, width: int) -> None:
        """See `Backbone.check_images`."""
        size = self._size_seen(height, width)
        if size != self.info.image_size and way_to_take(self.architecture, size) == "not at all":
            raise refused_size(self.info, height, width)

    def check_all_sizes(self, *, learning: bool = False) -> None:
        """See `Backbone.check_all_sizes`."""
        super().check_all_sizes(learning=learning)
        if learning and not self._any_size:
            raise self._only_frozen()

    def map_size(self, height: int, width: int, layer: int = -1) -> Size:
        """See `Backbone.map_size`."""
        self.check_images(height, width)
        size = self._size_seen(height, width)
        return map_sizes(self.architecture, size)[self.info.absolute(layer)]

    def parameter_layers(self) -> dict[str, int]:
        """See `Backbone.parameter_layers`: as timm groups them."""
        if not hasattr(self.network, "group_matcher"):
            return super().parameter_layers()
        matcher = self.network.group_matcher(coarse=False)
        found: dict[str, int] = group_parameters(self.network, matcher, reverse=True)
        return {f"network.{name}": layer for name, layer in found.items()}

    def branch_depth(self, branch: int) -> float:
        """See `Backbone.branch_depth`: by timm's own schedule."""
        return drop_paths(self.architecture)[branch][1]

    def check_drop_path(self) -> None:
        """See `Backbone.check_drop_path`."""
        if not drop_paths(self.architecture):
            raise no_drop_path(self.info)

    def replace_drop_path(self, make: Callable[[int, float], nn.Module]) -> None:
        """See `Backbone.replace_drop_path`."""
        self.check_drop_path()
        for branch, (name, depth) in enumerate(drop_paths(self.architecture)):
            parent, _, leaf = name.rpartition(".")
            made = make(branch, depth * self._drop_path)
            setattr(self.network.get_submodule(parent), leaf, made)  # some have None there

    def dense_copy(
        self, *, rule: PositionRule, image_px: int | None = None, heads: int = 0
    ) -> Backbone:
        """See `Backbone.dense_copy`; positions are resized as timm does."""
        self._rebuilt.clear()
        copy = super().dense_copy(rule=rule, image_px=image_px, heads=heads)
        if image_px is None or way_to_take(self.architecture, (image_px,) * 2) != "rebuilt":
            return copy
        sized = {**dict(self.architecture.options), "img_size": (image_px, image_px)}
        other = TimmNetwork(
            replace(
                self.architecture,
                image_size=(image_px, image_px),
                options=tuple(sorted(sized.items())),
            ),
            pooled_from="own" if self._pools else "mean_pool",
            mean=self.info.mean,
            std=self.info.std,
        )
        other.network = rebuild(self.architecture, self.network, (image_px, image_px))
        return deepcopy(other).requires_grad_(True)  # the weights were shared

    def attention(self, images: Tensor) -> Tensor:
        """See `Backbone.attention`: of PyTorch's attention in the last block."""
        images = self._cropped(images)
        size = (images.shape[-2], images.shape[-1])
        network = self._network_for(size)
        h, w = self.map_size(*size)
        fuse(network)
        found = last_attention(
            lambda: self._run(network, images, [self.info.depth - 1], False),
            self.info.prefix_tokens + h * w,
        )
        if found is None:
            raise no_attention(self.info)
        return found

    def _network_for(self, size: Size) -> Any:
        """Return the network for images of a size: the own one, or one built again.

        Raises:
            MissingAbility: If the size is not possible, or only while the network is frozen.
        """
        if self._any_size or size == self.info.image_size:
            return self.network
        way = way_to_take(self.architecture, size)
        if way == "not at all":
            raise refused_size(self.info, *size)
        if way == "as it is":
            return self.network
        if self.training:
            raise self._only_frozen()
        first = next(self.network.parameters())
        key = (size, first.device, first.dtype, first.data_ptr())
        if key not in self._rebuilt:
            while len(self._rebuilt) >= KEPT_NETWORKS:
                self._rebuilt.pop(next(iter(self._rebuilt)))
            with torch.inference_mode(mode=False):
                self._rebuilt[key] = rebuild(self.architecture, self.network, size)
        return self._rebuilt[key]

    def _only_frozen(self) -> MissingAbility:
        return MissingAbility(
            f"{self.info.arch} can't learn from images of several sizes: it is built for one.",
            hint="leave it frozen, or another network",
        )

    def _size_seen(self, height: int, width: int) -> Size:
        unit = self.info.patch_size if self._crops else 1
        return height // unit * unit, width // unit * unit

    def _run(
        self, network: Any, images: Tensor, indices: list[int], norm: bool
    ) -> dict[int, Features]:
        """Return the features of the layers asked for, in rising order."""
        last = self.info.depth - 1
        options: dict[str, Any] = {"indices": indices, "norm": norm and self._normed}
        if self._prefix:
            options["return_prefix_tokens"] = True
        whole = self._pools and norm and indices[-1] == last
        if whole:
            final, maps = network.forward_intermediates(images, **options)
        else:
            early = {"stop_early": True, "intermediates_only": True}
            maps = network.forward_intermediates(images, **options, **early)
        found = {index: self._features(each) for index, each in zip(indices, maps, strict=True)}
        if whole:
            pooled: Tensor = network.forward_head(final, pre_logits=True)
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
