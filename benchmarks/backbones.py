"""Every network of timm side by side with timm's own call; writes the table `BACKBONES.md`.

    python benchmarks/backbones.py                    # all that `backbones.jsonl` has no row of
    python benchmarks/backbones.py --match 'convnext*' 'vit_pe*'
    python benchmarks/backbones.py --write            # the table, without running

One network after the other: timm builds it with random weights and a classifier, its state dict is
loaded as a file's would be, and the maps of all layers and the pooled features are compared with
what timm's own `forward_intermediates` and `forward` give on the same image, in float32 on a CPU.
Networks of more than `--full-depth` million parameters are built with fewer blocks, where timm's
builder lets them; those that then have more than `--largest` million are only built, on the meta
device.
"""

import argparse
import gc
import json
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.backbone_rows import EQUAL, Row, Size, names, read, table
from vitbench.errors import VitbenchError
from vitbench.models.backbone import AnyArchitecture, Backbone
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.factory import assemble, find_architecture
from vitbench.models.state_dict import check_complete
from vitbench.models.swin import SwinBackbone
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_build import conversion_of, way_to_take
from vitbench.models.timm_state import recognize_timm

TABLE = Path(__file__).with_name("BACKBONES.md")
ROWS = Path(__file__).with_name("backbones.jsonl")
SHORTER: tuple[dict[str, Any], ...] = (
    {"depth": 2},
    {"depths": (1, 1, 1, 1)},
    {"layers": (1, 1, 1, 1)},
)


def look(name: str, *, full_depth: float, largest: float, seconds: float) -> Row:
    """Compare one network with timm's own; whatever goes wrong is part of the answer."""
    row = Row(name=name)
    try:
        architecture = find_architecture(name)
        empty = assemble(architecture)
        count = sum(parameter.numel() for parameter in empty.parameters()) / 1e6
        row = replace(row, way=_way(architecture), parameters=round(count, 1))
        options: dict[str, Any] = {}
        if count > full_depth:
            shorter = _shorter(name, architecture, largest)
            if shorter is not None:
                architecture, options = shorter
                row = replace(row, reduced=", ".join(f"{k} {v}" for k, v in options.items()))
            elif count > largest:
                return replace(row, reduced="meta tensors")
        torch.manual_seed(0)
        theirs: Any = timm.create_model(name, **options).eval().requires_grad_(False)
        ours = _loaded(name, architecture, theirs)
        of_size = partial(_of_size, name, architecture, options, theirs)
        return _compared(row, ours, theirs, of_size, seconds)
    except VitbenchError as error:
        return replace(row, error=f"refused: {str(error).splitlines()[0]}")
    except Exception as error:  # a row says that there was a traceback
        return replace(row, error=f"{type(error).__name__}: {str(error)[:200]}")


def _way(architecture: AnyArchitecture) -> str:
    return {"Architecture": "plain ViT", "SwinArchitecture": "Swin"}.get(
        type(architecture).__name__, "timm"
    )


def _shorter(
    name: str, architecture: AnyArchitecture, largest: float
) -> tuple[TimmArchitecture, dict[str, Any]] | None:
    """Return a network of fewer blocks, and the arguments that make timm build it."""
    for options in SHORTER:
        size = architecture.image_size if isinstance(architecture, TimmArchitecture) else None
        try:
            with torch.device("meta"):
                small: Any = timm.create_model(name, num_classes=0, **options)
        except (TypeError, ValueError, IndexError, AssertionError, KeyError):
            continue
        native = size or tuple(small.pretrained_cfg["input_size"][1:])
        try:
            small(torch.empty(2, 3, *native, device="meta"))
        except RuntimeError:  # some builders take a depth that does not fit their other widths
            continue
        if sum(parameter.numel() for parameter in small.parameters()) / 1e6 <= largest:
            return TimmArchitecture(
                timm_name=name, image_size=native, options=tuple(options.items())
            ), options
    return None


def _of_size(
    name: str, architecture: AnyArchitecture, options: dict[str, Any], network: Any, size: Size
) -> Any:
    """Return timm's network for images of a size, with the weights of that of the native size."""
    state = network.state_dict()
    if isinstance(architecture, TimmArchitecture) and way_to_take(architecture, size) == "rebuilt":
        other: Any = timm.create_model(name, **{**options, "img_size": size}).eval()
        convert = conversion_of(architecture)
        other.load_state_dict(convert(state, other) if convert else state)
        return other.requires_grad_(False)
    try:
        with torch.device("meta"):
            timm.create_model(name, dynamic_img_size=True, **options)
    except TypeError:
        return network
    twin: Any = timm.create_model(name, dynamic_img_size=True, **options).eval()
    twin.load_state_dict(state, assign=True)
    return twin.requires_grad_(False)


def _loaded(name: str, architecture: AnyArchitecture, theirs: Any) -> Backbone:
    """Load timm's weights as those of a file."""
    state = theirs.state_dict()
    if not isinstance(architecture, TimmArchitecture):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "weights.safetensors"
            save_file({key: value.contiguous() for key, value in state.items()}, path)
            return load_backbone(resolve(str(path), arch=name, position_rule="timm"))
    found = recognize_timm({"state_dict": state}, architecture, subject=name)
    backbone = assemble(architecture)
    check_complete(found.state, backbone.own_state(), subject=name, where=found.where)
    backbone.to_empty(device="cpu")
    backbone.fill(found.state)
    return backbone.eval().requires_grad_(False)


def _compared(
    row: Row, ours: Backbone, theirs: Any, of_size: Callable[[Size], Any], seconds: float
) -> Row:
    info, layers = ours.info, _layers(ours)
    native = info.image_size
    # a Swin of ours pads and shifts at other sizes as EsViT does, not as timm
    others = () if isinstance(ours, SwinBackbone) else _others(native, info.patch_size)
    ran, refused, maps, pooled, roundings = [], [], [0.0], [], []
    for size in (native, *others):
        try:
            ours.check_images(*size)
        except VitbenchError:
            refused.append(size)
            continue
        image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
        network = theirs if size == native else of_size(size)
        found = ours(image, layers)
        expected = _maps(ours, network, image)
        maps += [_difference(one.patches, map_) for one, map_ in zip(found, expected, strict=True)]
        (alone,) = ours(image, layers[:1])
        maps.append(_difference(alone.patches, expected[0]))
        if max(maps) > EQUAL:
            roundings.append(_rounding(ours, network, image))
        if info.pooled_from == "own":
            final = network.forward_features(image)
            pooled.append(
                _difference(found[-1].pooled, network.forward_head(final, pre_logits=True))
            )
        ran.append(size)
    image = torch.randn(1, 3, *native, generator=torch.Generator().manual_seed(2))
    mine, own = _rates(
        lambda: ours(image, layers), lambda: _maps(ours, theirs, image), seconds=seconds
    )
    return replace(
        row,
        sizes=tuple(ran),
        refused=tuple(refused),
        maps=max(maps),
        pooled=max(pooled) if pooled else None,
        rounding=max(roundings, default=None),
        ours=mine,
        timms=own,
    )


def _rounding(ours: Backbone, network: Any, image: Tensor) -> float:
    """Return the largest difference of timm's own maps in float32 and in float64."""
    found = _maps(ours, network, image)
    exact = _maps(ours, deepcopy(network).double(), image.double())
    return max(_difference(one, map_) for one, map_ in zip(found, exact, strict=True))


def _maps(ours: Backbone, network: Any, image: Tensor) -> list[Tensor]:
    """Call timm as its documentation does; the pooled features too, where ours gives them."""
    normed = not type(network).__name__.startswith("Hiera")  # timm has no norm for its maps
    final, maps = network.forward_intermediates(image, norm=normed)
    if ours.info.pooled_from == "own":
        network.forward_head(final, pre_logits=True)
    return list(maps)


def _layers(ours: Backbone) -> tuple[int, ...]:
    """Return the layers of ours that timm counts: of a Swin, the last block of each stage."""
    if isinstance(ours, SwinBackbone):
        return tuple(end - 1 for end in accumulate(stage.blocks for stage in ours.info.stages))
    return tuple(range(ours.info.depth))


def _others(native: Size, stride: int) -> tuple[Size, Size]:
    """Return two more sizes, the second not square, both multiples of the stride."""

    def part(side: int, share: float) -> int:
        return max(1, round(side * share / stride)) * stride

    height, width = native
    return (
        (part(height, 0.7), part(width, 0.7)),
        (part(height, 0.6), part(width, 0.9)),
    )


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))


def _rates(
    ours: Callable[[], object], theirs: Callable[[], object], *, seconds: float
) -> tuple[float, float]:
    """Return images a second of both, the best of turns that last so long altogether."""
    best = [float("inf"), float("inf")]
    end = time.perf_counter() + seconds
    while True:
        for index, call in enumerate((ours, theirs)):
            start = time.perf_counter()
            call()
            best[index] = min(best[index], time.perf_counter() - start)
        if time.perf_counter() > end:
            return 1 / best[0], 1 / best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROWS, help="file of rows, one a line")
    parser.add_argument("--match", nargs="*", default=["*"], help="patterns of names to look at")
    parser.add_argument("--full-depth", type=float, default=100, help="million parameters at most")
    parser.add_argument(
        "--largest", type=float, default=300, help="million parameters that are run"
    )
    parser.add_argument("--seconds", type=float, default=0.2, help="of timing for each network")
    parser.add_argument("--rerun", action="store_true", help="look again at what has a row")
    parser.add_argument("--write", action="store_true", help="only write the table")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rows = read(chosen.results)
    wanted = [name for name in names() if any(fnmatchcase(name, m) for m in chosen.match)]
    for name in () if chosen.write else wanted:
        if name in rows and not chosen.rerun:
            continue
        with torch.inference_mode():
            row = look(
                name,
                full_depth=chosen.full_depth,
                largest=chosen.largest,
                seconds=chosen.seconds,
            )
        with chosen.results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(row)) + "\n")
        print(name, row.error or f"maps {row.maps} pooled {row.pooled}", flush=True)
        gc.collect()
    rows = read(chosen.results)
    if chosen.write:
        TABLE.write_text("\n".join(table([rows[n] for n in names() if n in rows])) + "\n", "utf-8")


if __name__ == "__main__":
    main()
