"""Any `nn.Module` that gives tokens or maps, as a `Backbone`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from vitbench.errors import CheckpointError, MissingAbility, SettingError
from vitbench.models.backbone import (
    Backbone,
    BackboneInfo,
    Features,
    Stage,
    refuse_mask,
    refused_size,
)
from vitbench.models.constants import Triple
from vitbench.models.input_facts import native_size, read_normalization
from vitbench.models.network_outputs import (
    Layout,
    Outputs,
    Tokens,
    as_map,
    find_layout,
    read_outputs,
)
from vitbench.models.patch_mask import PatchMask
from vitbench.models.python_network import PythonArchitecture, architecture_of_code
from vitbench.models.taps import layers_named, layers_with_maps, run_layers

REFUSALS = (AssertionError, RuntimeError, ValueError)  # of a network that can't take a size


class WrappedBackbone(Backbone):
    """A network of any code; made and checked by `wrap`.

    A layer is one map or sequence of tokens that the network gives. Its pooled feature is the
    vector (B, D) that the network gives beside its only layer, else the first token before the
    patches, else the mean of the patches.

    Args:
        network: What is run, as it is.
        tokens: See `wrap`.
        name: What people call it.
        image_size: Native (H, W).
        normalization: Mean and standard deviation of the input, and who says so.
        patch_size: See `wrap`.
        prefix_tokens: See `wrap`.

    Raises:
        CheckpointError: What the network gives is neither tokens nor a map.
    """

    def __init__(
        self,
        network: nn.Module,
        tokens: Tokens,
        name: str,
        image_size: tuple[int, int],
        normalization: tuple[Triple, Triple, str],
        patch_size: int | None,
        prefix_tokens: int | None,
    ) -> None:
        super().__init__()
        self.network, self._name, self._tokens = network, name, tokens
        self.normalization_from = normalization[2]
        self._taps = layers_named(network, tokens)
        with _evaluating(network), torch.no_grad():
            first = self._tried(image_size)
            larger = next(self._other_sizes(image_size), None)
        self._layouts: list[Layout] = []
        for number, layer in enumerate(first.layers):
            other = (larger[0].layers[number].shape, larger[1]) if larger else None
            if other and layer.ndim == 3 and other[0][1] == layer.shape[1]:
                other = larger = None  # the network resizes its input by itself
            self._layouts.append(
                find_layout(
                    layer.shape,
                    image_size,
                    other,
                    patch_size=patch_size,
                    prefix=prefix_tokens,
                    name=name,
                )
            )
        last = self._layouts[-1]
        own = first.pooled is not None and len(first.layers) == 1
        stages = tuple(
            Stage(len(list(same)), *fact)
            for fact, same in groupby((layout.width, layout.stride) for layout in self._layouts)
        )
        self.info = BackboneInfo(
            arch=name,
            embed_dim=last.width,
            patch_size=last.stride,
            depth=len(self._layouts),
            heads=0,
            grid=(max(1, image_size[0] // last.stride), max(1, image_size[1] // last.stride)),
            prefix_tokens=last.prefix,
            pooled_from="own" if own else "cls_token" if last.prefix else "mean_pool",
            position_rule="own",
            mean=normalization[0],
            std=normalization[1],
            stages=stages if len(stages) > 1 else (),
            native_px=image_size,
            fixed_size=larger is None,
            pooled_dim=first.pooled.shape[1] if own and first.pooled is not None else None,
        )
        self._code = architecture_of_code(network, name, tokens)

    @property
    def code(self) -> PythonArchitecture:
        """See `Backbone.code`: that of the network inside."""
        return self._code

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
            MissingAbility: Tokens before the final norm are asked for, or the network can't take
                images of this size.
        """
        refuse_mask(self.info, mask)
        wanted = [self.info.absolute(layer) for layer in layers]
        if not norm:
            self.check_raw()
        unit = self.info.patch_size
        height, width = (side // unit * unit for side in images.shape[-2:])
        if not height or not width:
            size = " x ".join(map(str, images.shape[-2:]))
            raise SettingError([f"an image of {size} is smaller than a patch ({unit})"])
        images = images[..., :height, :width]
        try:
            found = self._outputs(images)
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
            if (height, width) == self.info.image_size:
                raise
            raise refused_size(self.info, height, width) from error
        return tuple(self._features(found, index, (height, width)) for index in wanted)

    def check_raw(self) -> None:
        """See `Backbone.check_raw`: the final norm of a network of any code is not known."""
        raise MissingAbility(
            f"{self._name} gives its features as they are: nobody knows its final norm.",
            hint="what compares tokens after the final norm (its own default); fine-tuning and "
            "--no-norm need a network of timm, a ViT or a Swin",
        )

    def reset_weights(self, seed: int) -> None:
        """See `Backbone.reset_weights`; layers that can reset themselves do, the way of torch."""
        super().reset_weights(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in self.network.modules():
                if callable(reset := getattr(module, "reset_parameters", None)):
                    reset()

    def extra_repr(self) -> str:
        """Return the facts that `wrap` found, for `print(backbone)`."""
        return describe(self)

    def _features(self, found: Outputs, index: int, image: tuple[int, int]) -> Features:
        tensor, layout = found.layers[index], self._layouts[index]
        patches = as_map(tensor, layout, image, self._name)
        if self.info.pooled_from == "own" and found.pooled is not None:
            return Features(found.pooled, patches)
        pooled = tensor[:, 0] if layout.prefix else patches.mean(dim=(2, 3))
        return Features(pooled, patches)

    def _outputs(self, images: Tensor) -> Outputs:
        """Run the network and sort what it gives."""
        images = images.to(_dtype(self.network))
        if self._taps:
            return read_outputs(run_layers(self.network, self._taps, images), None, self._name)
        run: Any = self.network
        if self._tokens is None or isinstance(self._tokens, str):
            run = getattr(self.network, "forward_features", self.network)
        return read_outputs(run(images), self._tokens, self._name)

    def _tried(self, size: tuple[int, int]) -> Outputs:
        """Run the network once at its native size.

        Raises:
            CheckpointError: It fails, or gives neither tokens nor a map.
        """
        images = torch.zeros(2, 3, *size, device=_device(self.network))
        try:
            return self._outputs(images)
        except CheckpointError as error:
            if self._tokens is not None:
                raise
            layers = layers_with_maps(self.network, images)
            hint = f"tokens={layers[-1]!r}, a layer (--tokens {layers[-1]})" if layers else ""
            raise CheckpointError(
                error.wrong,
                expected=error.expected,
                found=f"{error.found}, for images {tuple(images.shape)}",
                hint=error.hint or hint or "wrap the part of the network that gives features",
            ) from error
        except Exception as error:  # of code that is not ours
            raise CheckpointError(
                f"{self._name} can't take a batch of images.",
                expected=f"a forward pass of images {tuple(images.shape)}",
                found=f"{type(error).__name__}: {error}",
                hint="image_size=(H, W), where the network is made for another size",
            ) from error

    def _other_sizes(self, size: tuple[int, int]) -> Iterator[tuple[Outputs, tuple[int, int]]]:
        """Yield what the network gives for larger images, where it takes any."""
        for larger in ((size[0], 2 * size[1]), (2 * size[0], 2 * size[1])):
            try:
                images = torch.zeros(2, 3, *larger, device=_device(self.network))
                yield self._outputs(images), larger
            except Exception:
                continue


def wrap(
    module: nn.Module,
    *,
    normalization: Any = None,
    tokens: Tokens = None,
    name: str | None = None,
    patch_size: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    prefix_tokens: int | None = None,
) -> Backbone:
    """Make a backbone of any network that gives tokens or maps, checked by forward passes.

    What is not told is found by passing two sizes of images: which tensors are tokens (B, N, D) or
    maps (B, D, h, w), the pixels of a patch, how many tokens stand before the patches, and whether
    the native size is the only one. `print(backbone)` says what was found.

    Args:
        module: The network; it stays as it is. A method `forward_features` is preferred to a call.
        normalization: Input normalization: `imagenet`, `clip`, `half`, `none`, a pair (mean, std)
            for RGB in [0, 1], or an object with `mean` and `std`. Left out: what the network says,
            as timm's do, else ImageNet's.
        tokens: Which features to take, where that is not clear: a key or index of what the network
            gives, the name of one of its layers, a tuple of such names, shallowest first, or a
            function of what it gives.
        name: What reports call the network; left out, its class.
        patch_size: Pixels of an image per token, in each direction.
        image_size: Native size in pixels, a side or (H, W); left out: what the network says, else
            224.
        prefix_tokens: Tokens before the patches: class token and registers.

    Returns:
        A backbone that evaluates with the module's own weights.

    Raises:
        CheckpointError: The network can't be run, or gives nothing that is tokens or a map; the
            message says the shapes that were found.
        UnknownName: There is no such normalization.
        SettingError: A mean or standard deviation is out of its range.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU())
        >>> wrap(network, name="stem").info.patch_size
        16
    """
    if isinstance(module, Backbone):
        return module
    if not isinstance(module, nn.Module):
        raise CheckpointError(
            f"wrap() makes a backbone of a network, and was given {module!r}.",
            expected="a torch.nn.Module",
            found=type(module).__name__,
            hint="vitbench.load(NAME) for the name or path of a checkpoint",
        )
    known = getattr(module, "num_prefix_tokens", None)
    return WrappedBackbone(
        module,
        tokens,
        name or type(module).__name__,
        native_size(module, image_size),
        read_normalization(normalization, module),
        patch_size,
        known if prefix_tokens is None and isinstance(known, int) and known else prefix_tokens,
    )


def describe(backbone: Backbone) -> str:
    """Describe the features of a backbone in words."""
    info = backbone.info
    size = f"{info.image_size[0]} x {info.image_size[1]} px"
    pooled = {
        "own": "the network's own vector",
        "cls_token": "the first token",
        "mean_pool": "the mean patch",
    }.get(info.pooled_from, info.pooled_from)
    return (
        f"{info.depth} {'layer' if info.depth == 1 else 'layers'}, {info.embed_dim} wide, "
        f"{info.patch_size} px per token, grid {info.grid[0]} x {info.grid[1]} at {size}"
        f"{' (the only size)' if info.fixed_size else ''}, {info.prefix_tokens} prefix tokens, "
        f"image-level feature: {pooled}"
    )


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Let a network evaluate for a while; each of its parts is then as it was."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _device(network: nn.Module) -> torch.device:
    tensors = (*network.parameters(), *network.buffers())
    return tensors[0].device if tensors else torch.device("cpu")


def _dtype(network: nn.Module) -> torch.dtype:
    kinds = [value.dtype for value in network.parameters() if value.is_floating_point()]
    return kinds[0] if kinds else torch.get_default_dtype()
