"""A training as a row of a study: its recipe with overrides, its folder and its command."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vitbench.engine.training_progress import steps_trained
from vitbench.models.run_folder import RUN_FILE, RUN_JOURNAL
from vitbench.records import safe_name
from vitbench.settings import digest, flag
from vitbench.settings_by_name import names_of, sorted_by_owner, with_values
from vitbench.training.identity import identity_of
from vitbench.training.options import Options
from vitbench.training.presets import with_preset
from vitbench.training.recipe import Recipe, Term, check_recipe
from vitbench.training.recipes import recipes

Settings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Training:
    """A training run of a study."""

    row: str  # the name of the row
    recipe: str
    runs: Path  # the folder that holds the study's runs
    preset: str = ""
    settings: tuple[tuple[str, Any], ...] = ()  # by the names of the flags: ("patch.k", 4)
    steps: int | None = None  # None: all epochs
    processes: int = 1
    data: str = field(default="synthetic")

    @cached_property
    def made(self) -> tuple[Recipe, Options]:
        """The recipe and the options with everything that was told.

        Raises:
            UnknownName: There is no such recipe or preset.
            SettingError: A setting is unknown or outside its limits.
        """
        recipe = recipes.get(self.recipe)()
        recipe = with_preset(recipe, self.preset) if self.preset else recipe
        options = Options()
        parts = {item.name: getattr(options, item.name) for item in dataclasses.fields(options)}
        terms = {term.objective.name: term.objective for term in recipe.terms}
        of_terms = [*terms, *(f"{name}_weight" for name in terms)]
        groups = {
            f"{recipe.name}'s settings": [*of_terms, *names_of(recipe)],
            **{name: names_of(part) for name, part in parts.items()},
        }
        own, *others = sorted_by_owner({"data": self.data, **dict(self.settings)}, groups)
        changed = {
            name: with_values(part, told)
            for (name, part), told in zip(parts.items(), others, strict=True)
        }
        return check_recipe(_told(recipe, own)), Options(**changed)

    @cached_property
    def key(self) -> str:
        """The hash of all that is learned from, as far as it is known before any work."""
        recipe, options = self.made
        facts = {
            "data": self.data,
            "split_list": options.inputs.split_list,
            "steps": self.steps,
        }
        return digest(identity_of(recipe, *options.parts, data=facts))[:16]

    @property
    def name(self) -> str:
        """How the training is called on the command line: as its row."""
        return self.row

    @property
    def folder(self) -> Path:
        """Where the run lives; another setting makes another folder."""
        return self.runs / f"{safe_name(self.row)}-{self.key[:8]}"

    @property
    def progress(self) -> tuple[int, int]:
        """Steps done and steps planned; (0, 0) before the first line of the metric log."""
        done, planned = steps_trained(self.folder / RUN_JOURNAL) or (0, 0)
        return done, min(planned, self.steps or planned)

    @property
    def done(self) -> bool:
        """Whether the run has made all its steps and written its backbone."""
        done, planned = self.progress
        return 0 < planned <= done and (self.folder / RUN_FILE).exists()

    def words(self, device: str = "") -> list[str]:
        """Return the words of `vitbench train …` that make the run."""
        found = [self.recipe, *(["--preset", self.preset] if self.preset else [])]
        found += ["--data", self.data]
        for name, value in self.settings:
            found += _as_flag(name, value)
        found += ["--steps", str(self.steps)] if self.steps else []
        found += ["--processes", str(self.processes)] if self.processes > 1 else []
        found += ["--device", device] if device else []
        return [*found, "--out", str(self.folder)]


def _told(recipe: Recipe, values: Settings) -> Recipe:
    """Return a recipe with settings changed, those of its terms under the names of the terms."""
    names = {term.objective.name for term in recipe.terms}
    of_terms = {f"{name}_weight" for name in names} | names
    own = {name: value for name, value in values.items() if name.partition(".")[0] not in of_terms}
    terms = tuple(
        Term(
            values.get(f"{term.objective.name}_weight", term.weight),
            _term_told(term, values),
        )
        for term in recipe.terms
    )
    return dataclasses.replace(with_values(recipe, own), terms=terms)


def _term_told(term: Term, values: Settings) -> Any:
    head = f"{term.objective.name}."
    own = {
        name.removeprefix(head): value for name, value in values.items() if name.startswith(head)
    }
    sorted_by_owner(own, {f"{term.objective.name}'s settings": names_of(term.objective)})
    return with_values(term.objective, own)


def _as_flag(name: str, value: Any) -> list[str]:
    """Write a setting as words of the command line."""
    if value is False:
        head, dot, last = name.rpartition(".")
        return [flag(f"{head}{dot}no-{last}")]
    if value is True:
        return [flag(name)]
    return [flag(name), *map(str, value if isinstance(value, list | tuple) else [value])]


def flattened(values: Settings, within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of nested tables under dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{within}{name}.")
        else:
            yield within + name, tuple(value) if isinstance(value, list) else value
