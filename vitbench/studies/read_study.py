"""From the TOML of a study to its matrix; every problem of the file is told at once."""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vitbench.errors import SettingError, UnknownName, VitbenchError
from vitbench.models.spec_facts import split_facts
from vitbench.records import safe_name
from vitbench.studies.matrix import Claim, Column, Row, Study
from vitbench.studies.training_row import Training, flattened

RUNS = Path("runs")  # in it, a folder for each study with its trainings
NUMBERS = {"steps": int, "processes": int}
OF_STUDY = {
    "title": str,
    "source": str,
    "note": str,
    "train": dict,
    "rows": dict,
    "columns": dict,
    "claims": list,
    "seeds": list,
    "skip": list,
    "scale": dict,
    "slurm": dict,
}
OF_ROW = {
    **dict.fromkeys(("recipe", "preset", "data", "checkpoint", "printed"), str),
    **NUMBERS,
    "ground_truth": bool,
    "each": dict,
    "about": dict,
    "seeds": list,
    "facts": dict,  # of a trained checkpoint when it is scored; those of another stand beside it
}
OF_TRAIN = {name: OF_ROW[name] for name in ("recipe", "preset", "data", *NUMBERS)}
OF_COLUMN = {"on": str, "data": str, "metrics": list, "printed": str}
OF_CLAIM = {"better": str, "than": str, "columns": list}
Table = dict[str, Any]


def read_study(text: str, name: str, scale: str = "full") -> Study:
    """Read a study.

    Args:
        text: TOML; see `vitbench study --help`.
        name: What the study is called: the file's stem.
        scale: `full`, or the name of a table below `[scale]`, which is merged over the file.

    Raises:
        SettingError: With every problem of the file.
        UnknownName: There is no such scale.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError([f"study {name}: this is not TOML: {error}"]) from error
    scales = document.pop("scale", {})
    if scale != "full":
        if scale not in scales:
            raise UnknownName(f"scale of study {name}", scale, ("full", *scales))
        document = _merged(document, scales[scale])
        name = f"{name}-{scale}"
    return _Reader(name).study(document)


class _Reader:
    """Reads the tables of one file and collects what is wrong in them."""

    def __init__(self, name: str) -> None:
        self.name, self.problems = name, list[str]()

    def study(self, document: Table) -> Study:
        self._check(document, OF_STUDY, "the study", rest=False)
        train = document.get("train", {})
        self._check(train, OF_TRAIN, "train", rest=True)
        columns = tuple(self._columns(document.get("columns", {})))
        rows = tuple(self._rows(document.get("rows", {}), train))
        for what, found in (("rows", rows), ("columns", columns)):
            names = [one.name for one in found]
            self.problems += [] if names else [f"there are no {what}"]
            twice = sorted({one for one in names if names.count(one) > 1})
            self.problems += [f"{what}: {one!r} stands twice" for one in twice]
        names = [f"{row.name}/{column.name}" for row in rows for column in columns]
        left_out = frozenset(one for one in names if _any(one, document.get("skip", [])))
        self.problems += _same_trainings(rows)
        for pattern in document.get("skip", []):
            if not any(fnmatchcase(one, pattern) for one in names):
                self.problems.append(f"skip: {pattern!r} is no ROW/COLUMN of the study")
        claims = tuple(self._claims(document.get("claims", []), rows, columns))
        left = {name for name in names if name not in left_out}
        study = Study(
            name=self.name,
            title=document.get("title", self.name),
            rows=tuple(row for row in rows if any(f"{row.name}/{c.name}" in left for c in columns)),
            columns=tuple(
                c for c in columns if any(f"{row.name}/{c.name}" in left for row in rows)
            ),
            source=document.get("source", ""),
            note=document.get("note", ""),
            claims=claims,
            seeds=tuple(document.get("seeds", [0])),
            left_out=left_out,
            slurm=document.get("slurm", {}),
        )
        if self.problems:
            raise SettingError([f"study {self.name}: {text}" for text in self.problems])
        return study

    def _columns(self, tables: Table) -> Iterator[Column]:
        for name, table in tables.items():
            if not self._check(table, OF_COLUMN, f"columns.{name}", rest=True):
                continue
            own = {key: value for key, value in table.items() if key not in OF_COLUMN}
            column = Column(
                name=name,
                on=table.get("on", name),
                data=table.get("data", ""),
                settings=dict(flattened(own)),
                metrics=tuple(table.get("metrics", ())),
                printed=table.get("printed", ""),
            )
            with self._collecting(f"columns.{name}"):
                declared = [metric.name for metric in column.protocol.metrics]
                _ = column.run
                unknown = [one for one in column.metrics if one not in declared]
                if unknown:
                    raise UnknownName(f"metric of {column.protocol.name}", unknown[0], declared)
            yield column

    def _rows(self, tables: Table, train: Table) -> Iterator[Row]:
        for pattern, table in tables.items():
            if not self._check(table, OF_ROW, f"rows.{pattern}", rest=True):
                continue
            for values in _products(table.get("each", {})):
                own = {key: value for key, value in table.items() if key != "each"}
                trained = not (own.get("checkpoint") or own.get("ground_truth"))
                told = _merged(train, own) if trained else own
                filled = _filled({"name": pattern, **told}, values)
                with self._collecting(f"rows.{filled['name']}"):
                    yield self._row(filled)

    def _row(self, table: Table) -> Row:
        name = table.pop("name")
        told = {
            "about": table.pop("about", {}),
            "printed": table.pop("printed", ""),
            "seeds": tuple(table.pop("seeds", ())),
        }
        if table.pop("ground_truth", False):
            return Row(name, **told)
        checkpoint, facts = table.pop("checkpoint", ""), table.pop("facts", {})
        if checkpoint:
            return Row(name, _with_facts(checkpoint, {**table, **facts}), **told)
        own = {key: value for key, value in table.items() if key not in OF_TRAIN}
        if not table.get("recipe"):
            raise SettingError(["it has neither a recipe nor a checkpoint"])
        training = Training(
            row=name,
            recipe=table["recipe"],
            runs=RUNS / safe_name(self.name),
            preset=table.get("preset", ""),
            settings=tuple(flattened(own)),
            data=table.get("data", "synthetic"),
            **{key: table[key] for key in NUMBERS if key in table},
        )
        _ = training.made, split_facts(name + _with_facts("", facts))
        return Row(name, training=training, facts=_with_facts("", facts), **told)

    def _claims(self, tables: list[Any], rows: Any, columns: Any) -> Iterator[Claim]:
        for number, table in enumerate(tables, 1):
            if not self._check(table, OF_CLAIM, f"claim {number}", rest=False):
                continue
            claim = Claim(
                table.get("better", ""), table.get("than", ""), tuple(table.get("columns", ()))
            )
            for what, named, there in (
                ("row", (claim.better, claim.than), rows),
                ("column", claim.columns, columns),
            ):
                names = {one.name for one in there}
                self.problems += [
                    f"claim {number}: there is no {what} {one!r}"
                    for one in named
                    if one not in names
                ]
            yield claim

    def _check(self, table: Any, known: Mapping[str, type], where: str, *, rest: bool) -> bool:
        """Collect keys of the wrong type and, unless the rest are settings, unknown ones."""
        if not isinstance(table, dict):
            self.problems.append(f"{where} is {table!r}, expected a table")
            return False
        wrong = [
            f"{where}: {key} is {table[key]!r}, expected {kind.__name__}"
            for key, kind in known.items()
            if key in table
            and not isinstance(table[key], kind)
            and not (isinstance(table[key], str) and "{" in table[key])
        ]
        if not rest:
            wrong += [
                f"{where} has no {key!r}; it has {', '.join(known)}"
                for key in table
                if key not in known
            ]
        self.problems += wrong
        return not wrong

    def _collecting(self, where: str) -> "_Collecting":
        return _Collecting(self.problems, where)


class _Collecting:
    """Turns the errors of a block into lines of a list."""

    def __init__(self, problems: list[str], where: str) -> None:
        self.problems, self.where = problems, where

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> bool:
        """Keep what a user can fix; everything else goes on."""
        if isinstance(error, VitbenchError):
            self.problems.append(f"{self.where}: {error}")
            return True
        return False


def _same_trainings(rows: Sequence[Row]) -> list[str]:
    """Tell which rows would train the same."""
    first: dict[str, str] = {}
    found = []
    for row in rows:
        if row.training is not None:
            other = first.setdefault(row.training.key, row.name)
            found += [f"rows: {row.name!r} trains as {other!r}"] if other != row.name else []
    return found


def _merged(base: Table, over: Table) -> Table:
    """Merge tables within tables; any other value takes the place of the one below."""
    found = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _merged(found[key], value) if both else value
    return found


def _products(each: Table) -> Iterator[Table]:
    """Yield every combination of the values of `each`."""
    for values in itertools.product(*each.values()):
        yield dict(zip(each, values, strict=True))


def _filled(value: Any, values: Table) -> Any:
    """Put values into the place of their names in braces; one alone keeps its type."""
    if isinstance(value, dict):
        return {_filled(key, values): _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    for name, item in values.items():
        if value == f"{{{name}}}":
            return item
        value = value.replace(f"{{{name}}}", str(item))
    return value


def _with_facts(checkpoint: str, facts: Table) -> str:
    """Write facts of a checkpoint behind it, as they are typed on the command line."""
    if not facts:
        return checkpoint
    written = [
        f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in facts.items()
    ]
    spec = f"{checkpoint}{',' if re.search(r'@[A-Za-z_-]+=', checkpoint) else '@'}"
    return spec + ",".join(written)


def _any(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
