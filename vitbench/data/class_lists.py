"""Read the class names of index maps, and which of the labels are classes."""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vitbench.bounds import HIGHEST_LABEL, LARGEST_DOCUMENT, MOST_CLASSES
from vitbench.outside_files import parsing, read_text

VOID_NAMES = frozenset({"unlabeled", "void", "ignore", "ignored"})
NUMBERED = re.compile(r"(\d+)\s*:\s*(\S.*)")  # `0: background`

Named = Iterable[tuple[object, object]]  # (label, name) as a file has them


@dataclass(frozen=True, slots=True)
class ClassList:
    """The classes and void labels that a class file lists."""

    names: Mapping[int, str]  # label -> name of a class; empty where no file says
    void: frozenset[int] = frozenset()  # labels that the file itself calls unlabeled or void
    path: Path | None = None


def read_class_list(root: Path) -> ClassList:
    """Read the class names from the class file of a folder.

    Understood are `objectInfo150.csv` and `.txt` (ADE20K), `classes.yaml` (a mapping `classes`)
    and `classes.txt` (`LABEL: NAME` a line, or a name a line, from label 1). A label that is
    called unlabeled, void or ignored is no class.

    Raises:
        DatasetError: The file is there but not of its form.
    """
    path = next((root / name for name in FORMS if (root / name).is_file()), None)
    if path is None:
        return ClassList({})
    with parsing(
        f"the class file {str(path)!r}",
        expected="columns Idx and Name, a mapping `classes`, or a name a line",
        hint="restore the file, or write classes.txt",
    ):
        named = _checked(FORMS[path.name](read_text(path, LARGEST_DOCUMENT)))
    void = frozenset(label for label, name in named.items() if name.lower() in VOID_NAMES)
    names = {label: name for label, name in named.items() if label not in void}
    return ClassList(names, void, path)


def _checked(entries: Named) -> dict[int, str]:
    named: dict[int, str] = {}
    for label, name in entries:
        number = int(str(label))
        if not 0 <= number <= HIGHEST_LABEL:
            raise ValueError(f"label {number}, expected 0 to {HIGHEST_LABEL}")
        if number in named:
            raise ValueError(f"label {number} is named twice")
        if not isinstance(name, str | int | float):
            raise TypeError(f"the name of label {number} is no text")
        named[number] = str(name).strip()
    if len(named) > MOST_CLASSES:
        raise ValueError(f"{len(named)} classes, at most {MOST_CLASSES} can be scored")
    return named


def _from_csv(text: str) -> Named:
    return [(row["Idx"], row["Name"]) for row in csv.DictReader(text.splitlines())]


def _from_tabs(text: str) -> Named:
    rows = csv.DictReader(text.splitlines(), delimiter="\t", skipinitialspace=True)
    return [(row["Idx"], row["Name"]) for row in rows]


def _from_yaml(text: str) -> Named:
    import yaml

    named: Mapping[object, object] = yaml.safe_load(text)["classes"]
    return named.items()


def _from_lines(text: str) -> Named:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [NUMBERED.fullmatch(line) for line in lines]
    pairs = [(found[1], found[2]) for found in numbered if found]
    return pairs if len(pairs) == len(lines) else enumerate(lines, start=1)


FORMS: dict[str, Callable[[str], Named]] = {
    "objectInfo150.csv": _from_csv,
    "objectInfo150.txt": _from_tabs,
    "classes.yaml": _from_yaml,
    "classes.txt": _from_lines,
}
