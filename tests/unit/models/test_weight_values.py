"""Tensors that can't be weights are refused before anything is computed, each by its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vitbench.errors import CheckpointError
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.timm_backbone import build_backbone

ARCH = "vit_micro_patch8_32"
NAME = "blocks.1.mlp.fc1.weight"


@pytest.fixture
def weights() -> dict[str, Any]:
    return {key: value.clone() for key, value in build_backbone(ARCH, seed=0).state_dict().items()}


def opened(weights: dict[str, Any], folder: Path) -> None:
    torch.save(weights, folder / "file.pth")
    resolve(str(folder / "file.pth"), arch=ARCH)


def quantized(value: Tensor) -> Tensor:
    return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda value: value.int(), "int32"),
        (lambda value: value > 0, "bool"),
        (lambda value: value.to(torch.complex64), "complex64"),
        (lambda value: value.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (quantized, "quantized, qint8"),
        (lambda value: value.to_sparse(), "sparse"),
        (lambda value: value.to_sparse_csr(), "sparse"),
        (lambda value: value.to("meta"), "without values"),
        (lambda value: torch.nested.nested_tensor([value, value[:2]]), "a nested tensor"),
        (lambda value: value[:1, :1].expand_as(value), "16384 numbers of which the file holds"),
    ],
)
def test_a_tensor_that_is_no_dense_number_is_named(
    change: Callable[[Tensor], Tensor], kind: str, weights: dict[str, Any], tmp_path: Path
) -> None:
    weights[NAME] = change(weights[NAME])
    with pytest.raises(CheckpointError, match=rf"can't be weights(.|\n)*{NAME} is {kind}"):
        opened(weights, tmp_path)


def test_a_table_that_claims_more_than_memory_is_refused_unread(
    weights: dict[str, Any], tmp_path: Path
) -> None:
    weights["pos_embed"] = torch.ones(1).expand(1, 100_000_001, 64)  # 25 GB, from 4 bytes
    with pytest.raises(CheckpointError, match=r"pos_embed is 6400000064 numbers of which"):
        opened(weights, tmp_path)


@pytest.mark.parametrize("name", ["pos_embed", "cls_token", "patch_embed.proj.weight", NAME])
def test_a_scalar_in_the_place_of_a_weight_is_an_error(
    name: str, weights: dict[str, Any], tmp_path: Path
) -> None:
    weights[name] = torch.tensor(1.0)
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        opened(weights, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["norm.bias", NAME])
def test_a_number_that_is_not_finite_is_refused_by_its_tensor(
    name: str, value: float, weights: dict[str, Any], tmp_path: Path
) -> None:
    weights[name].view(-1)[3] = value
    with pytest.raises(CheckpointError, match=rf"NaN or infinite(.|\n)*{name} \(1 of"):
        opened(weights, tmp_path)


def test_what_overflows_single_precision_is_not_finite(
    weights: dict[str, Any], tmp_path: Path
) -> None:
    weights[NAME] = weights[NAME].double() * 1e300
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        opened(weights, tmp_path)


def test_a_nan_in_a_head_that_is_left_out_does_no_harm(
    weights: dict[str, Any], tmp_path: Path
) -> None:
    opened(weights | {"head.weight": torch.full((5, 64), float("nan"))}, tmp_path)


def test_all_zeros_are_no_weights(weights: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="all zeros"):
        opened({key: torch.zeros_like(value) for key, value in weights.items()}, tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_equal_values_of_another_precision_load_equally(
    dtype: torch.dtype, weights: dict[str, Any], tmp_path: Path
) -> None:
    exact = {key: value.bfloat16().half().float() for key, value in weights.items()}  # fits all
    exact = {key: value.bfloat16().float() for key, value in exact.items()}
    torch.save(exact, tmp_path / "a.pth")
    torch.save({key: value.to(dtype) for key, value in exact.items()}, tmp_path / "b.pth")
    a, b = (load_backbone(resolve(str(tmp_path / name), arch=ARCH)) for name in ("a.pth", "b.pth"))
    assert all(torch.equal(a.state_dict()[key], value) for key, value in b.state_dict().items())
    assert all(value.dtype == torch.float32 for value in b.state_dict().values())
