"""Sort the outputs of a network's forward pass: tokens, maps, the pooled vector."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

from torch import Size, Tensor

from vitbench.errors import CheckpointError, listed

Tokens = str | int | Sequence[str] | Callable[[Any], Any] | None
TOKEN_NAMES = ("x_norm_patchtokens", "last_hidden_state")  # DINOv2's, and those of transformers
POOLED_NAMES = ("x_norm_clstoken", "pooler_output")
MOST_PREFIX_TOKENS = 16  # class and register tokens that are looked for where nobody says them


@dataclass(frozen=True, slots=True)
class Outputs:
    """The tensors of one forward pass: tokens or maps of each layer, and the pooled vector."""

    layers: tuple[Tensor, ...]  # each (B, N, D), (B, D, h, w) or (B, h, w, D); the deepest last
    pooled: Tensor | None  # (B, D), where the network gives one


@dataclass(frozen=True, slots=True)
class Layout:
    """How one layer's tensor lies over the image."""

    prefix: int  # tokens before the patches; 0 for a map
    stride: int  # pixels of an image per token, in each direction
    width: int  # D
    channels_last: bool = False  # a map (B, h, w, D)


def read_outputs(found: Any, tokens: Tokens, name: str) -> Outputs:
    """Sort the outputs of a forward pass.

    Args:
        found: A tensor, or tensors in a mapping, tuple or list, one level or two deep.
        tokens: Which of them to take: a key, an index, or a function of `found`. None: the only
            one that is tokens or a map; several maps or several sequences of one shape are layers.
        name: Of the network, for errors.

    Raises:
        CheckpointError: Nothing is tokens or a map, or it is not clear which.
    """
    if callable(tokens):
        found = tokens(found)
    elif isinstance(tokens, str | int):
        found = _picked(found, tokens, name)
    named = dict(_tensors(found))
    if found is not None and (known := [key for key in TOKEN_NAMES if key in named]):
        pooled = next((named[key] for key in POOLED_NAMES if key in named), None)
        return Outputs((named[known[0]],), _vector(pooled))
    spatial = {key: value for key, value in named.items() if value.ndim in (3, 4)}
    vectors = [value for value in named.values() if value.ndim == 2]
    pooled = vectors[0] if len(vectors) == 1 else None
    dims = {value.ndim for value in spatial.values()}
    if len(spatial) == 1 or dims == {4} or len({value.shape for value in spatial.values()}) == 1:
        return Outputs(tuple(spatial.values()), pooled)
    if not spatial:
        raise CheckpointError(
            f"{name} gives no tokens and no map.",
            expected="tokens (B, N, D) or a map (B, D, h, w) among what it gives",
            found=shapes(found),
        )
    raise CheckpointError(
        f"{name} gives several tensors that can be tokens or a map.",
        expected="one of them, or several maps",
        found=shapes(found),
        hint=f"tokens={next(iter(spatial))!r}",
    )


def shapes(found: Any) -> str:
    """Return the shapes of the tensors that a forward pass gave, as text."""
    told = [f"{key} {tuple(value.shape)}".strip() for key, value in _tensors(found)]
    return listed(told) if told else type(found).__name__


def find_layout(
    shape: Size,
    image: tuple[int, int],
    larger: tuple[Size, tuple[int, int]] | None,
    *,
    patch_size: int | None = None,
    prefix: int | None = None,
    name: str,
) -> Layout:
    """Return how a layer's tensor lies over the image, from its shapes alone.

    Args:
        shape: Of the tensor.
        image: (H, W) of the image that it came from, in pixels.
        larger: The same of another image, whose area is larger; None where there is only one size.
        patch_size: Pixels of an image per token, where that is known.
        prefix: Class and register tokens, where that is known.
        name: Of the network, for errors.

    Raises:
        CheckpointError: The shapes are no grid over the image.
    """
    if len(shape) == 4:
        return _layout_of_map(shape, image, larger, name)
    count, (height, width) = shape[1], image
    strides = [patch_size] if patch_size else _strides(count, image, larger, prefix)
    for stride in strides:
        left = count - (height // stride) * (width // stride)
        if left >= 0 and prefix in (None, left) and left <= max(MOST_PREFIX_TOKENS, prefix or 0):
            return Layout(left, stride, shape[2])
    raise _no_grid(shape, image, larger, patch_size, prefix, name)


def as_map(tensor: Tensor, layout: Layout, image: tuple[int, int], name: str) -> Tensor:
    """Return a layer's tensor as a map (B, D, h, w), a view.

    Raises:
        CheckpointError: The number of patches is another than the image has.
    """
    if tensor.ndim == 4:
        return tensor.permute(0, 3, 1, 2) if layout.channels_last else tensor
    h, w = image[0] // layout.stride, image[1] // layout.stride
    if tensor.shape[1] != layout.prefix + h * w:
        raise CheckpointError(
            f"{name} gives another number of tokens than an image of {image[0]} x {image[1]} has.",
            expected=f"{layout.prefix} + {h} x {w}",
            found=f"{tuple(tensor.shape)}",
            hint="a view of the network's native size",
        )
    patches = tensor[:, layout.prefix :].transpose(1, 2)
    return patches.reshape(*patches.shape[:2], h, w)


def _strides(
    count: int,
    image: tuple[int, int],
    larger: tuple[Size, tuple[int, int]] | None,
    prefix: int | None,
) -> list[int]:
    """Return the strides that can explain a number of tokens, the likeliest first."""
    area = image[0] * image[1]
    if larger is not None:
        shape, size = larger
        ratio = (size[0] * size[1] - area, shape[1] - count)
        return _root(*ratio)
    counts = range(MOST_PREFIX_TOKENS + 1) if prefix is None else (prefix,)
    found = [stride for left in counts for stride in _root(area, count - left)]
    return [stride for stride in found if image[0] % stride == 0 == image[1] % stride]


def _root(area: int, patches: int) -> list[int]:
    """Return the side of a square patch, if so many of them fill an area."""
    if patches <= 0 or area % patches:
        return []
    side = isqrt(area // patches)
    return [side] if side > 0 and side * side * patches == area else []


def _layout_of_map(
    shape: Size,
    image: tuple[int, int],
    larger: tuple[Size, tuple[int, int]] | None,
    name: str,
) -> Layout:
    """Tell (B, D, h, w) from (B, h, w, D): the sides of a map grow with the image."""
    for last, (d, h, w) in ((False, (1, 2, 3)), (True, (3, 1, 2))):
        stride = max(1, round(image[0] / shape[h]))
        fits = stride == max(1, round(image[1] / shape[w]))
        if larger is not None:
            wide, size = larger
            grown = wide[d] == shape[d] and wide[h] * wide[w] > shape[h] * shape[w]
            fits = fits and grown and stride == max(1, round(size[0] / wide[h]))
        if fits:
            return Layout(0, stride, shape[d], last)
    raise CheckpointError(
        f"{name} gives a tensor of four dimensions that is no map of the image.",
        expected="(B, D, h, w) or (B, h, w, D), the same pixels per token in both directions",
        found=f"{tuple(shape)} for an image of {image[0]} x {image[1]}",
        hint="tokens=FUNCTION, which makes a map of what the network gives",
    )


def _no_grid(
    shape: Size,
    image: tuple[int, int],
    larger: tuple[Size, tuple[int, int]] | None,
    patch_size: int | None,
    prefix: int | None,
    name: str,
) -> CheckpointError:
    count = shape[1]
    if patch_size:
        h, w = image[0] // patch_size, image[1] // patch_size
        expected = f"patch_size {patch_size}: {h} x {w} = {h * w} patches"
        expected += f", and {prefix} tokens before them" if prefix is not None else " or a few more"
    else:
        expected = "a grid of square patches" + (
            f" after {prefix} tokens" if prefix is not None else " after at most a few tokens"
        )
    possible = _strides(count, image, larger, None)
    hint = "patch_size=N, and prefix_tokens=N for tokens that are no patches"
    if possible:
        left = count - (image[0] // possible[0]) * (image[1] // possible[0])
        hint = f"patch_size={possible[0]}, prefix_tokens={left}"
    return CheckpointError(
        f"{name} gives {count} tokens, which are no grid of patches.",
        expected=f"{expected}, for an image of {image[0]} x {image[1]}",
        found=f"{tuple(shape)}",
        hint=hint,
    )


def _picked(found: Any, key: str | int, name: str) -> Any:
    """Return the part of an output that a key, an attribute or an index names."""
    if isinstance(key, int):
        if isinstance(found, tuple | list) and -len(found) <= key < len(found):
            return found[key]
    elif isinstance(found, Mapping) and key in found:
        return found[key]
    elif not isinstance(found, Tensor) and hasattr(found, key):
        return getattr(found, key)
    raise CheckpointError(
        f"{name} has no output and no layer {key!r}.",
        expected="a key or index of what it gives, or the name of one of its layers",
        found=shapes(found),
    )


def _tensors(found: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of an output with their keys, dotted where they lie two deep."""
    if isinstance(found, Tensor):
        yield prefix, found
    elif depth < 2 and isinstance(found, Mapping):
        for key, value in found.items():
            yield from _tensors(value, f"{prefix}.{key}".lstrip("."), depth + 1)
    elif depth < 2 and isinstance(found, tuple | list):
        for index, value in enumerate(found):
            yield from _tensors(value, f"{prefix}.{index}".lstrip("."), depth + 1)


def _vector(pooled: Tensor | None) -> Tensor | None:
    """Return (B, D), also of a pooled map (B, D, 1, 1)."""
    return None if pooled is None else pooled.flatten(1)
