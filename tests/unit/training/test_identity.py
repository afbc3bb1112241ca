"""Two trainings are the same one only if nothing that moves a number differs."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch

from tests.tiny_training import tiny
from vitbench.settings import facts, flag
from vitbench.training.identity import changes, identity_of, refused
from vitbench.training.options import Options
from vitbench.training.recipe import Recipe, Term

OUT_OF_IDENTITY = {
    "--workers", "--cache", "--skip-corrupt", "--on-nonfinite", "--data", "--probe-data",
    "--probe-images", "--save-minutes", "--keep-last", "--keep-every", "--log-every",
    "--probe-every", "--activation-checkpointing", "--shard",
    "--split-list",  # the images that it selects are, as those of --data
}  # fmt: skip


OPTIONS = Options()


def identity(recipe: Recipe, options: Options = OPTIONS) -> dict[str, Any]:
    return identity_of(recipe, *options.parts, data={"images": 3, "fingerprint": "x"})


def other(value: Any) -> Any:
    """Return another value of the same kind; limits do not matter here."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple):
        return (*value[:-1], other(value[-1]))
    return f"{value}-other"


def leaves(component: Any, within: str = "") -> list[tuple[str, ...]]:
    """Return the path of every setting of a component, through those that are settings too."""
    found: list[tuple[str, ...]] = []
    for item in fields(component):
        value = getattr(component, item.name)
        if is_dataclass(value):
            found += [(item.name, *rest) for rest in leaves(value)]
        elif item.name not in {"name", "terms"}:
            found.append((item.name,))
    return found


def changed(component: Any, path: tuple[str, ...]) -> Any:
    """Return the component with another value at a path."""
    name, *rest = path
    value = getattr(component, name)
    return replace(component, **{name: changed(value, tuple(rest)) if rest else other(value)})


@pytest.mark.parametrize("path", leaves(tiny("moby")), ids=".".join)
def test_every_setting_of_a_recipe_makes_another_training(path: tuple[str, ...]) -> None:
    found = changes(identity(tiny("moby")), identity(changed(tiny("moby"), path)))
    assert list(found) == [flag(".".join(path))]


@pytest.mark.parametrize("name", ["dino", "selfpatch", "esvit", "moby"])
def test_every_setting_of_a_term_makes_another_training(name: str) -> None:
    recipe = tiny(name)
    for place, term in enumerate(recipe.terms):
        for path in leaves(term.objective):
            terms = list(recipe.terms)
            terms[place] = Term(term.weight, changed(term.objective, path))
            found = changes(identity(recipe), identity(replace(recipe, terms=tuple(terms))))
            assert list(found) == [flag(f"{term.objective.name}.{path[0]}")]


@pytest.mark.parametrize("path", leaves(Options()), ids=".".join)
def test_every_option_that_moves_a_number_makes_another_training(path: tuple[str, ...]) -> None:
    found = changes(identity(tiny("dino")), identity(tiny("dino"), changed(Options(), path)))
    name = flag(path[-1])
    assert list(found) == ([] if name in OUT_OF_IDENTITY else [name])


def test_no_option_is_out_of_the_identity_but_those_named_here() -> None:
    declared = {
        flag(item.name)
        for part in Options().parts
        for item in fields(part)
        if not facts(item).identity
    }
    assert declared == OUT_OF_IDENTITY


def test_a_term_without_weight_does_not_count() -> None:
    recipe = tiny("selfpatch")
    off = replace(recipe, terms=(recipe.terms[0], Term(0.0, recipe.terms[1].objective)))
    assert identity(off) == identity(replace(recipe, terms=recipe.terms[:1]))


def test_auto_is_what_it_means_on_the_device() -> None:
    computing = Options().computing
    cpu, gpu = computing.on(torch.device("cpu")), computing.on(torch.device("cuda"))
    assert (cpu.precision, gpu.precision) == ("fp32", "bf16")
    assert (cpu.compile, gpu.compile) == ("off", "on")
    told = replace(computing, precision="fp64", compile="off")
    assert told.on(torch.device("cuda")) == told


def test_the_refusal_says_what_was_and_what_is() -> None:
    mark = "0123456789abcdef" * 4
    found = changes(
        {"--augment": "batched", "--crops.blur": [1.0, 0.1], "fingerprint": mark, "--k": 1},
        {"--augment": "pil", "--crops.blur": [1.0, 0.2], "fingerprint": mark[::-1], "--k": 1},
    )
    said = str(refused("'runs/mine'", found))
    assert "expected  --augment batched, --crops.blur 1.0 0.1, fingerprint 0123456789ab…" in said
    assert "found     --augment pil, --crops.blur 1.0 0.2, fingerprint fedcba987654…" in said
    assert "--k" not in said


def test_a_setting_that_only_one_side_knows_is_a_change() -> None:
    assert changes({"--old": 1}, {"--new": 2}) == {
        "--old": (1, "not known"),
        "--new": ("not known", 2),
    }
