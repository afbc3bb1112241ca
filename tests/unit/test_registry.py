from importlib.metadata import EntryPoint

import pytest

from vitbench import registry
from vitbench.errors import BadPlugin, UnknownName
from vitbench.registry import PluginEntry, Registry


def pass_through(found: object, entry: PluginEntry) -> object:
    return found


def make(monkeypatch: pytest.MonkeyPatch, tables: dict[str, object]) -> Registry[object]:
    points = [EntryPoint(name, f"tables:{name}", "group") for name in tables]
    monkeypatch.setattr(registry, "offered", lambda group: points)
    monkeypatch.setattr(EntryPoint, "load", lambda point: tables[point.name])
    return Registry("protocol", "group", pass_through)


def test_a_name_is_imported_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = make(monkeypatch, {"vitbench": {"join": "os.path:join", "lost": "nowhere:x"}})
    assert found.names() == ("join", "lost")
    assert found.get("join") is __import__("os").path.join


def test_an_unknown_name_gets_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = make(monkeypatch, {"vitbench": {"davis": "os:sep"}})
    with pytest.raises(UnknownName, match=r"no protocol 'davs'\. Did you mean 'davis'\?"):
        found.get("davs")


def test_a_taken_name_is_written_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    found = make(monkeypatch, {"other": {"x": "os:linesep"}, "vitbench": {"x": "os:sep"}})
    assert found.names() == ("other/x", "x")
    assert found.get("x") == "/"
    assert found.get("other/x") == "\n"


def test_one_broken_table_never_hides_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = make(monkeypatch, {"other": ["no table"], "vitbench": {"x": "os:sep"}})
    assert found.names() == ("x",)
    assert "'other' can't be read" in found.problems()[0]


def test_a_component_that_fails_to_import_names_its_distribution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = make(monkeypatch, {"vitbench": {"x": "no_such_module:x"}})
    with pytest.raises(BadPlugin, match=r"'x' of distribution 'vitbench'"):
        found.get("x")


def test_an_old_name_still_finds_its_component(monkeypatch: pytest.MonkeyPatch) -> None:
    make(monkeypatch, {"vitbench": {"pca": "os:sep"}})
    found = Registry("protocol", "group", pass_through, renamed={"portrait": "pca"})
    assert found.get("portrait") == "/"
    assert found.names() == ("pca",)
