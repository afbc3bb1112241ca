"""What a user reads: every help text of every command is a phrase of its own."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest

from vitbench.cli.component_help import component_help
from vitbench.cli.flag_spec import Flag, flags_of
from vitbench.cli.flags import parse
from vitbench.cli.main import main
from vitbench.cli.recipe_flags import as_flags
from vitbench.data.dataset import readers
from vitbench.engine.describe import describe
from vitbench.engine.protocol import contract_problems, protocols, scorers
from vitbench.settings import setting
from vitbench.training.options import Options
from vitbench.training.presets import presets_of
from vitbench.training.recipes import recipes

COMPONENTS = [
    *(("eval", protocols.get(name)) for name in protocols.names()),
    *(("score", scorers.get(name)) for name in scorers.names()),
]
HEADLESS = re.compile(r"^(of|over|for|as|after|before|likewise|how many|it|the teacher's)\b")


def all_flags() -> Iterator[tuple[str, Flag]]:
    """Yield every flag there is, with the command that has it; presets bring flags of their own."""
    for command, kind in COMPONENTS:
        for settings in ({}, *kind.presets.values()):
            yield from ((f"{command} {kind.name}", one) for one in flags_of(kind, settings))
    for name in recipes.names():
        yield from ((f"train {name}", one) for one in flags_of(as_flags(recipes.get(name)()), {}))
    yield from (("train", one) for part in Options().parts for one in flags_of(type(part), {}))


def leaves(flag: Flag) -> Iterator[Flag]:
    yield flag
    for one in flag.inner:
        yield from leaves(one)


def test_every_help_text_names_its_thing() -> None:
    for command, top in all_flags():
        for flag in leaves(top):
            text = flag.facts.help
            assert text, f"{command}: {flag.path}"
            assert not HEADLESS.match(text), f"{command}: {flag.path}: {text}"


def test_a_setting_that_is_on_says_what_its_negative_does() -> None:
    on = [
        (command, flag.path, flag.facts.off)
        for command, top in all_flags()
        for flag in leaves(top)
        if flag.default is True
    ]
    assert len(on) > 5
    assert [(command, path) for command, path, off in on if not off] == []


@pytest.mark.parametrize(("command", "kind"), COMPONENTS)
def test_the_help_of_a_component_says_what_a_user_must_know(command: Any, kind: Any) -> None:
    text = component_help(kind, command, None)
    told = describe(kind, command)
    assert text.startswith(told.summary[:40])
    assert "reports: " in text
    assert f"data:    {told.kind}" in text
    assert "folder layout:" in text
    assert 2 <= len(told.examples) <= 3
    assert set(kind.presets) == set(getattr(kind, "preset_notes", {}))
    assert all(re.search(rf"^  {name} +\S", text, re.MULTILINE) for name in kind.presets)
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(("command", "kind"), COMPONENTS)
def test_the_examples_are_commands_that_can_be_read(command: Any, kind: Any) -> None:
    for example in describe(kind, command).examples:
        words = example.split()
        assert words[:3] == ["vitbench", command, kind.name]
        flags = {f"--{name.replace('_', '-')}" for name in _names(kind)} | {"--preset", "--arch"}
        used = {word for word in words if word.startswith("--")}
        assert used <= flags | {"--data", "--limit"}, example


def _names(kind: Any) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]


def test_every_reader_says_its_folder_layouts() -> None:
    assert all(readers.get(name).layout for name in readers.names())


def test_every_recipe_lists_its_presets(capsys: pytest.CaptureFixture[str]) -> None:
    for name in recipes.names():
        with pytest.raises(SystemExit):
            main(["train", name, "--help"])
        text = capsys.readouterr().out
        assert all(f"  {preset} " in text for preset in presets_of(recipes.get(name)()))


@dataclasses.dataclass(frozen=True)
class Odd:
    norm: bool = setting(True, help="compare after the norm", off="compare before the norm")
    k: int = setting(3, help="number of neighbors")
    names: tuple[str, ...] = setting((), help="names to read")


def test_help_is_made_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(
            {"flags": Odd},
            ["--help"],
            prog="vitbench odd",
            description="What it does.",
            positional=("names",),
        )
    text = capsys.readouterr().out
    assert text.startswith("usage: vitbench odd NAME… [flags]\n\nWhat it does.\n")
    assert re.search(r"--no-norm +compare before the norm\n", text)
    assert re.search(r"--k N +number of neighbors \(default 3\)\n", text)


def test_of_two_flags_with_one_name_the_first_counts() -> None:
    other = dataclasses.make_dataclass(
        "Other", [("k", int, setting(7, help="others"))], frozen=True
    )
    odd, second = parse({"a": Odd, "b": other}, ["--k", "5"], prog="x", description="")
    assert (odd.k, second.k) == (5, 7)


def test_lines_for_presets_that_are_none_fail_the_contract() -> None:
    knn: Any = protocols.get("knn")
    wrong = type("Wrong", (knn,), {"preset_notes": {"dyno": "x"}, "examples": "vitbench"})
    sentences = contract_problems(dataclasses.dataclass(frozen=True)(wrong))
    assert "preset_notes has lines for ['dyno'], which are no presets" in sentences
    assert any("examples is no tuple" in text for text in sentences)
