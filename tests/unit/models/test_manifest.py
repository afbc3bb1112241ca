import re
from pathlib import Path

import pytest
import torch

from vitbench.download import file_sha256
from vitbench.errors import CheckpointError, UnknownName
from vitbench.models import manifest as manifest_files
from vitbench.models.architecture import Architecture
from vitbench.models.asked import asked_checkpoint
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.models.factory import find_architecture
from vitbench.models.manifest import (
    find_manifest,
    manifest_names,
    parse_manifest,
    shipped_weights,
)
from vitbench.models.swin_architecture import SwinArchitecture

TEXT = """
name = "mine"
method = "dino"
arch = "vit_tiny_patch16_224"
heads = 3
license = "MIT"
source = "us"
"""


@pytest.mark.parametrize("name", manifest_names())
def test_every_manifest_is_whole(name: str) -> None:
    manifest = find_manifest(name)
    assert manifest.name == name
    assert manifest.published or manifest.file
    assert manifest.url.startswith("https://") or manifest.note
    assert not manifest.file_sha256 or re.fullmatch(r"[0-9a-f]{64}", manifest.file_sha256)
    assert all(value.source for value in manifest.published)
    architecture = find_architecture(manifest.arch)
    assert isinstance(architecture, SwinArchitecture) or (
        isinstance(architecture, Architecture)
        and architecture.embed_dim % (manifest.heads or 0) == 0
    )


@pytest.mark.network
@pytest.mark.parametrize("name", [name for name in manifest_names() if find_manifest(name).url])
def test_every_published_file_is_fetched_and_loads(name: str) -> None:
    assert load_backbone(resolve(name)).info.depth > 0


def test_the_published_files_of_the_comparison_are_known() -> None:
    assert set(manifest_names()) >= {
        "dino-vits16", "dino-vits8", "dino-vitb16", "dino-vitb8", "dino-vits16-300",
        "selfpatch-vits16", "esvit-swint", "moby-deits", "moby-swint", "moco-v3-vits16",
    }  # fmt: skip


def test_an_unknown_name_is_told_the_near_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'dino-vits16'"):
        find_manifest("dino-vit16")


def test_what_is_not_known_stays_empty() -> None:
    manifest = parse_manifest(TEXT, name="mine")
    assert (manifest.url, manifest.file_sha256, manifest.published) == ("", "", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("heads = 3", ""), "`heads` is missing"),
        (TEXT.replace("3", '"three"'), "heads"),
        (TEXT + "position_rule = 'bilinear'", "position_rule"),
        (TEXT + "nonsense", "not TOML"),
        (TEXT.replace('"mine"', '"other"'), "calls itself 'other'"),
        (TEXT + "file = 'a.safetensors'", "without its `file_sha256`"),
        (TEXT + "file = '../a.safetensors'", "file"),
        (TEXT + "file = 'a.pth'", "file"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        parse_manifest(text, name="mine")


def test_weights_that_come_with_vitbench_are_small_and_load() -> None:
    shipped = {
        name: path for name in manifest_names() if (path := shipped_weights(find_manifest(name)))
    }
    assert set(shipped) >= {"dino-vitmini16-imagenette", "selfpatch-vitmini16-imagenette"}
    assert sum(path.stat().st_size for path in shipped.values()) < 6_000_000
    for name in shipped:
        checkpoint = resolve(name)
        backbone = load_backbone(checkpoint)
        assert checkpoint.manifest is not None
        assert backbone.info.heads == checkpoint.manifest.heads
        assert backbone.info.arch == checkpoint.manifest.arch
        assert next(backbone.parameters()).dtype == torch.float32


def test_weights_beside_a_manifest_are_taken_if_they_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load_backbone(resolve("random:vit_micro_patch8_64"))
    weights = tmp_path / "mine.safetensors"
    save_backbone(backbone, weights, method="dino")
    text = TEXT.replace("vit_tiny_patch16_224", "vit_micro_patch8_64")
    told = f"file = '{weights.name}'\nfile_sha256 = '{file_sha256(weights)}'"
    (tmp_path / "mine.toml").write_text(f"{text}{told}")
    monkeypatch.setattr(manifest_files, "_files", lambda: {"mine": tmp_path / "mine.toml"})
    found = resolve("mine")
    assert found.name == "mine"
    assert found.sha256 == resolve(str(weights)).sha256
    asked = asked_checkpoint("mine", {})
    assert asked is not None
    assert [path for path, _ in asked.files] == [weights]
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="not the one that was installed"):
        resolve("mine")


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="hedas"):
        parse_manifest(TEXT + "hedas = 3", name="mine")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("heads", "-3"),
        ("heads", "0"),
        ("heads", "1000000"),
        ("std", "[0, 0.2, 0.2]"),
        ("std", "[58.4, 57.1, 57.4]"),
        ("mean", "[nan, 0.5, 0.5]"),
        ("mean", "[127, 127, 127]"),
        ("mean", "[0.5, 0.5]"),
        ("ignore", "['*']"),
        ("ignore", "['blocks.*']"),
        ("ignore", "['*weight']"),
        ("file_sha256", "'abc'"),
        ("file_sha256", f"'{'G' * 64}'"),
        ("size_bytes", "-1"),
        ("url", "'file:///etc/passwd'"),
        ("url", "'https://example.org/weights/..'"),
        ("url", "'https://example.org/'"),
        ("arch", "''"),
        ("published", "[{protocol = 'knn', metric = 'top1', value = inf, source = 'us'}]"),
    ],
)
def test_a_field_out_of_its_range_is_refused_by_name(field: str, value: str) -> None:
    lines = [line for line in TEXT.splitlines() if not line.startswith(field)]
    with pytest.raises(CheckpointError, match=field):
        parse_manifest("\n".join([*lines, f"{field} = {value}"]), name="mine")


def test_a_pattern_for_what_is_not_needed_is_fine() -> None:
    text = TEXT + "ignore = ['projector*', 'queue?', 'blocks.*.extra']"
    assert len(parse_manifest(text, name="mine").ignore) == 3
