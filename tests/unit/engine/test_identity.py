"""What can move a score changes a run's identity; what can't, does not."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.data.content import Digests, images_fingerprint
from vitbench.data.dataset import open_dataset
from vitbench.data.transforms import Normalization
from vitbench.engine.context import open_data
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.presets import described
from vitbench.engine.protocol import Scoring, protocols, scorers
from vitbench.engine.run import Run
from vitbench.models.backbone import Backbone
from vitbench.models.factory import build
from vitbench.models.identity import LEFT_OUT, WeightsIdentity, identify_weights
from vitbench.records import Subject
from vitbench.settings import facts, is_component
from vitbench_protocols.davis import Davis
from vitbench_protocols.knn import Knn
from vitbench_protocols.segmentation import Segmentation

SHA = "0" * 64
HALF = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
KNN = Knn(resize=32, crop=32)
Edit = Callable[[Path], None]


def identity(
    component: Scoring,
    options: RunOptions,
    *,
    weights: WeightsIdentity | None = None,
    normalization: Normalization = HALF,
    sha256: str = SHA,
) -> str:
    subject = Subject(kind="checkpoint", name="name", sha256=sha256)
    data = open_data(component, options, pixels=True)
    run = Run(component, subject, options, Reporter(), data, torch.device("cpu"), normalization)
    return replace(run, weights=weights).identity()


@cache
def network(arch: str) -> Backbone:
    return build(arch, seed=0)


def other(value: Any, hint: Any = None) -> Any:
    """Return another value of the same type."""
    choices = [choice for choice in get_args(hint) if get_origin(hint) is Literal]
    if choices:
        return next(choice for choice in choices if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, tuple):
        return (other(value[0]), *value[1:]) if value else (7,)
    if value is None:
        return 7
    raise AssertionError(f"no other value for {value!r}")


# The network

ARCHITECTURES = ("vit_micro_patch8_32", "swin_mini_patch4_window7_56", "test_convnext")
ARCHITECTURE_FIELDS = [
    (arch, item.name)
    for arch in ARCHITECTURES
    for item in dataclasses.fields(network(arch).architecture)  # type: ignore[arg-type]
]
INFO_FIELDS = [item.name for item in dataclasses.fields(network(ARCHITECTURES[0]).info)]


def changed(arch: str, part: str, field: str, value: Any) -> WeightsIdentity:
    """Return the identity of a network with one other fact."""
    backbone: Any = build(arch, seed=0)
    setattr(backbone, part, replace(getattr(backbone, part), **{field: value}))
    return identify_weights(backbone, SHA)


def test_only_labels_and_the_inputs_normalization_are_left_out() -> None:
    assert set(LEFT_OUT) == {"name", "arch", "mean", "std"}


@pytest.mark.parametrize(("arch", "field"), ARCHITECTURE_FIELDS)
def test_every_fact_of_an_architecture_counts_but_its_label(arch: str, field: str) -> None:
    before = identify_weights(network(arch), SHA)
    value: Any = getattr(network(arch).architecture, field)
    after = changed(arch, "architecture", field, other(value))
    if field in INFO_FIELDS:  # the built network's word counts
        after = changed(arch, "info", field, other(value))
    assert (after.digest == before.digest) == (field in LEFT_OUT)


@pytest.mark.parametrize("field", INFO_FIELDS)
def test_every_fact_of_a_built_network_counts_but_its_label(field: str) -> None:
    arch = ARCHITECTURES[0]
    before = identify_weights(network(arch), SHA)
    value: Any = getattr(network(arch).info, field) or "something"
    assert (changed(arch, "info", field, other(value)).digest == before.digest) == (
        field in LEFT_OUT
    )


def test_the_identity_of_a_network_is_the_runs(folders: Path) -> None:
    options = RunOptions(data=str(folders))
    found = {
        identity(KNN, options, weights=weights, sha256=sha256)
        for sha256 in (SHA, "1" * 64)
        for weights in (WeightsIdentity(SHA, {"heads": 3}), WeightsIdentity(SHA, {"heads": 4}))
    }
    assert len(found) == 4


def test_a_rule_for_other_sizes_does_not_count_at_the_native_size(folders: Path) -> None:
    options = RunOptions(data=str(folders))
    native, larger = Knn(resize=32, crop=32), Knn(resize=64, crop=64)
    rules = [changed(ARCHITECTURES[0], "info", "position_rule", r) for r in ("dino", "size")]
    assert len({identity(native, options, weights=weights) for weights in rules}) == 1
    assert len({identity(larger, options, weights=weights) for weights in rules}) == 2


@pytest.mark.parametrize("field", ["mean", "std"])
def test_the_normalization_of_the_input_counts(folders: Path, field: str) -> None:
    options = RunOptions(data=str(folders))
    shifted = replace(HALF, **{field: (0.5, 0.5, 0.4)})
    assert identity(KNN, options) != identity(KNN, options, normalization=shifted)


# Options and settings

OPTIONS: dict[str, tuple[Any, bool]] = {  # field: (another value, whether the identity changes)
    "data": ("copy", False),  # the same content elsewhere
    "results": (Path("elsewhere"), False),
    "device": ("cpu", False),
    "precision": ("bf16", True),
    "resampling": ("fast", True),
    "seed": (1, True),
    "workers": (1, False),
    "batch_size": (3, False),
    "timeout_minutes": (7.0, False),
    "limit": (5, True),
    "split_list": (("first.txt",), True),
    "skip_corrupt": (3, False),
    "rerun": (True, False),
    "sanity_check": (False, False),
    "store": ("all", False),
}


def test_every_option_is_known_to_count_or_not() -> None:
    assert set(OPTIONS) == {item.name for item in dataclasses.fields(RunOptions)}


@pytest.mark.parametrize("field", OPTIONS)
def test_options_count_where_they_can_move_a_score(
    folders: Path, tmp_path: Path, field: str
) -> None:
    value, counts = OPTIONS[field]
    if field == "data":
        shutil.copytree(folders, tmp_path / value)
        value = str(tmp_path / value)
    if field == "split_list":
        (tmp_path / "first.txt").write_text(
            open_dataset(str(folders), "classification", "train").ids[0]
        )
        value = (str(tmp_path / "first.txt"),)
    options = RunOptions(data=str(folders))
    assert (identity(KNN, options) != identity(KNN, replace(options, **{field: value}))) == counts


def test_exact_resampling_needs_no_word_in_an_identity() -> None:
    assert RunOptions().computing == {"precision": "fp32"}  # as in every record that there is
    fast = RunOptions(resampling="fast").computing
    assert fast == {"precision": "fp32", "resampling": "fast"}


def test_threads_do_not_count(folders: Path) -> None:
    options = RunOptions(data=str(folders))
    before, threads = identity(KNN, options), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert identity(KNN, options) == before
    finally:
        torch.set_num_threads(threads)


def settings_of(component: Any) -> list[tuple[str, ...]]:
    """List the paths of all settings, those of settings among settings too."""
    found = []
    for item in dataclasses.fields(component):
        if not item.init:  # the component finds it itself
            continue
        value = getattr(component, item.name)
        inner = settings_of(value) if is_component(value) else [()]
        found += [(item.name, *path) for path in inner]
    return found


NAMES = {("layers", "of"): "logistic", ("layers", "of_preset"): "dino"}  # that exist


def with_other(component: Any, path: tuple[str, ...]) -> Any:
    """Return a component with one other setting."""
    name, *rest = path
    value = getattr(component, name)
    known = NAMES.get((getattr(component, "name", ""), name))
    if known is not None:
        return replace(component, **{name: known})
    if rest:
        return replace(component, **{name: with_other(value, tuple(rest))})
    return replace(component, **{name: other(value, get_type_hints(type(component))[name])})


def counts(component: Any, path: tuple[str, ...]) -> bool:
    """Tell whether a setting is declared to count."""
    fields = {item.name: item for item in dataclasses.fields(component)}
    here = facts(fields[path[0]]).identity
    return here and (len(path) == 1 or counts(getattr(component, path[0]), path[1:]))


COMPONENTS = [
    *(protocols.get(n) for n in protocols.names()),
    *(scorers.get(n) for n in scorers.names()),
]


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, path) for kind in COMPONENTS for path in settings_of(kind())],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else value.name,
)
def test_every_setting_counts_unless_it_is_declared_not_to(
    kind: Any, path: tuple[str, ...]
) -> None:
    def spec(component: Any) -> str:
        return described(component, RunOptions().computing).spec_id

    assert (spec(kind()) != spec(with_other(kind(), path))) == counts(kind(), path)


# The data


def picture(path: Path, seed: int, *, values: int = 256, mode: str = "RGB") -> None:
    """Write a picture whose file has the same size whatever is in it."""
    generator = np.random.default_rng(seed)
    shape = (16, 16, 3) if mode == "RGB" else (16, 16)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(generator.integers(0, values, shape, dtype=np.uint8)).save(
        path, compress_level=0
    )


def redrawn(name: str, *, values: int = 256, mode: str = "RGB") -> Edit:
    """Draw another picture into a file of the same size, and set its times back."""

    def edit(root: Path) -> None:
        before = (root / name).stat()
        picture(root / name, 99, values=values, mode=mode)
        assert (root / name).stat().st_size == before.st_size
        os.utime(root / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return edit


def moved(one: str, other: str) -> Edit:
    def edit(root: Path) -> None:
        (root / one).rename(root / other)

    return edit


def swapped(one: str, other: str) -> Edit:
    def edit(root: Path) -> None:
        (root / one).rename(root / "third")
        (root / other).rename(root / one)
        (root / "third").rename(root / other)

    return edit


def rewritten(name: str, old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return edit


def classification(root: Path) -> None:
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for number in range(3):
                picture(root / split / name / f"{number}.png", len(name) + number)


def semantic(root: Path) -> None:
    for split in ("training", "validation"):
        for number in range(3):
            picture(root / "images" / split / f"{number}.png", number)
            picture(root / "annotations" / split / f"{number}.png", number, values=3, mode="L")
    (root / "classes.txt").write_text("wall\nsky\n")


def clips(root: Path) -> None:
    for name in ("bear", "crab"):
        for number in range(4):
            file = f"480p/{name}/{number:05}.png"
            picture(root / "JPEGImages" / file, number)
            picture(root / "Annotations" / file, number, values=2, mode="L")
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("bear\ncrab\n")


def instances(root: Path) -> None:
    (root / "annotations").mkdir()
    for split in ("train", "val"):
        for number in (1, 2):
            picture(root / f"{split}2017" / f"{number}.png", number)
        images = [{"id": n, "file_name": f"{n}.png", "height": 16, "width": 16} for n in (1, 2)]
        box = {"bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}
        outline = {"segmentation": [[1, 1, 6, 1, 6, 6, 1, 6]]}
        objects = [{"id": n, "image_id": n, "category_id": 1, **box, **outline} for n in (1, 2)]
        document = {
            "images": images,
            "annotations": objects,
            "categories": [{"id": 1, "name": "cat"}],
        }
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))


MAKERS: dict[Any, Callable[[Path], None]] = {
    "classification": classification,
    "semantic": semantic,
    "clips": clips,
    "instances": instances,
}
PIXELS, LABELS, NOTHING = "pixels", "labels", "nothing"
EDITS: list[tuple[str, str, str, Edit]] = [
    ("classification", "a val image is drawn again", PIXELS, redrawn("val/cat/0.png")),
    ("classification", "an image has another name", PIXELS,
     moved("val/cat/0.png", "val/cat/9.png")),
    ("classification", "an image changes class", PIXELS,
     moved("val/cat/0.png", "val/dog/9.png")),
    ("classification", "an image is gone", PIXELS,
     lambda root: (root / "val/cat/0.png").unlink()),
    ("classification", "hidden files come", NOTHING, lambda root: (root / "val/.x").touch()),
    ("semantic", "a label map is drawn again", LABELS,
     redrawn("annotations/validation/0.png", values=3, mode="L")),
    ("semantic", "two label maps are swapped", LABELS,
     swapped("annotations/validation/0.png", "annotations/validation/1.png")),
    ("semantic", "two images are swapped", PIXELS,
     swapped("images/validation/0.png", "images/validation/1.png")),
    ("semantic", "a class has another name", LABELS, rewritten("classes.txt", "sky", "sea")),
    ("clips", "a frame is drawn again", PIXELS, redrawn("JPEGImages/480p/bear/00002.png")),
    ("clips", "a mask is drawn again", LABELS,
     redrawn("Annotations/480p/bear/00002.png", values=2, mode="L")),
    ("clips", "the list names fewer", PIXELS,
     rewritten("ImageSets/2017/val.txt", "bear\n", "")),
    ("instances", "an image is drawn again", PIXELS, redrawn("val2017/1.png")),
    ("instances", "a box moves", LABELS,
     rewritten("annotations/instances_val2017.json", "[1, 1, 5, 5]", "[2, 1, 5, 5]")),
    ("instances", "a category has another name", LABELS,
     rewritten("annotations/instances_val2017.json", '"cat"', '"cow"')),
]  # fmt: skip


def marks(root: Path, kind: Any) -> tuple[str, str]:
    """Return what identifies a val split: all of it, and its images alone."""
    dataset = open_dataset(str(root), kind, "val")
    component: Any = type("Reader", (), {"data": kind, "splits": ("val",)})
    data = open_data(component, RunOptions(data=str(root)), pixels=True)
    return data.describe(("val",)).fingerprint, images_fingerprint(dataset, Digests(root))


@pytest.mark.parametrize(
    ("kind", "moves", "edit"), [edit[:1] + edit[2:] for edit in EDITS], ids=[e[1] for e in EDITS]
)
def test_data_is_known_by_content(tmp_path: Path, kind: str, moves: str, edit: Edit) -> None:
    MAKERS[kind](tmp_path)
    whole, images = marks(tmp_path, kind)
    edit(tmp_path)
    edited_whole, edited_images = marks(tmp_path, kind)
    assert (edited_whole != whole) == (moves != NOTHING)
    assert (edited_images != images) == (moves == PIXELS)


def test_the_training_split_counts_where_it_is_read(tmp_path: Path) -> None:
    classification(tmp_path)
    options = RunOptions(data=str(tmp_path))
    before = identity(KNN, options)
    redrawn("train/dog/1.png")(tmp_path)
    assert identity(KNN, options) != before


def test_some_clips_are_known_by_their_names_not_their_places(tmp_path: Path) -> None:
    clips(tmp_path)
    whole, first = RunOptions(data=str(tmp_path)), RunOptions(data=str(tmp_path), limit=1)
    before = identity(Davis(), whole), identity(Davis(), first)
    rewritten("ImageSets/2017/val.txt", "bear\ncrab", "crab\nbear")(tmp_path)
    assert identity(Davis(), whole) == before[0]  # the order of all of them moves nothing
    assert identity(Davis(), first) != before[1]


def test_labels_alone_are_known_without_images(tmp_path: Path) -> None:
    semantic(tmp_path)
    options = RunOptions(data=str(tmp_path))
    found = []
    for edit in (lambda root: None, redrawn("images/validation/0.png")):
        edit(tmp_path)
        data = open_data(Segmentation(), options, pixels=False)
        found.append(data.describe(("val",)).fingerprint)
    assert found[0] == found[1]
