"""Settings are fields of frozen dataclasses: default, help, limits, identity and flag at once."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from vitbench.errors import SettingError

T = TypeVar("T")
KEY = "vitbench"


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """Help text and limits of one setting."""

    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[object, ...]
    identity: bool  # False: the value can't move a score (an engine, a number of workers)
    artifact: bool = False  # the value decides which files are made beside the record
    remedy: str = ""  # what to do about a value outside the limits
    off: str = ""  # help of the flag that switches the setting off, `--no-NAME`


def setting(
    default: Any = dataclasses.MISSING,
    *,
    help: str,  # noqa: A002  (the word the field's users read)
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[object, ...] = (),
    identity: bool = True,
    artifact: bool = False,
    remedy: str = "",
    off: str = "",
    derived: bool = False,
) -> Any:
    """Declare one setting of a component.

    Args:
        default: Its default; left out, the setting must be given.
        help: One line for `--help` and the documentation.
        minimum: Smallest allowed value, inclusive; applies to each number of a tuple.
        maximum: Largest allowed value, inclusive; likewise.
        choices: The allowed values, where they are few.
        identity: Whether the value enters `spec_id`. False only if no score can depend on it.
        artifact: Whether the value asks for files beside the record (a video, pictures). It enters
            no identity, but a record without those files does not answer for them.
        remedy: What to do about a value outside the limits, where people often give one.
        off: Help of `--no-NAME`, the flag of a setting that is on by default: what is done then.
        derived: Whether the component finds the value itself, from its other settings: no flag.

    Example:
        >>> @dataclass(frozen=True)
        ... class Knn:
        ...     k: int = setting(20, help="neighbors that vote", minimum=1)
        >>> Knn().k
        20
    """
    facts = FieldFacts(
        help, minimum, maximum, choices, identity and not artifact, artifact, remedy, off
    )
    return field(default=default, init=not derived, metadata={KEY: facts})


def facts(item: "dataclasses.Field[Any]") -> FieldFacts:
    """Return help text and limits of a dataclass field; one without `setting` has neither."""
    found = item.metadata.get(KEY)
    return found if isinstance(found, FieldFacts) else FieldFacts("", None, None, (), True)


def problems(component: Any, within: str = "") -> list[str]:
    """List every setting of a component that lies outside its limits, as sentences.

    A number that is not finite lies outside any limits: no identity could hold it.

    Args:
        component: The settings; those that are settings of their own are looked into.
        within: Names of the settings that the component stands in, such as `method.`.
    """
    found = []
    for item in dataclasses.fields(component):
        value, limits = getattr(component, item.name), facts(item)
        if is_component(value):
            found += problems(value, f"{within}{item.name}.")
            continue
        name = flag(within + item.name)
        if limits.choices and value not in limits.choices:
            allowed = ", ".join(map(repr, limits.choices))
            found.append(f"{name} is {value!r}, expected one of {allowed}")
        remedy = f" ({limits.remedy})" if limits.remedy else ""
        found += [
            f"{name} is {number!r}, expected {expected}{remedy}"
            for number in _numbers(value)
            if (expected := _missed(number, limits))
        ]
    return list(dict.fromkeys(found))


def _numbers(value: object) -> Iterator[int | float]:
    """Yield the numbers in a value, however deep in its tuples; True and False are none."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _missed(number: float, limits: FieldFacts) -> str:
    """Tell which limit a number misses; empty if it misses none."""
    if not math.isfinite(number):
        return "a finite number"
    if limits.minimum is not None and number < limits.minimum:
        return f"at least {limits.minimum}"
    if limits.maximum is not None and number > limits.maximum:
        return f"at most {limits.maximum}"
    return ""


def checked(component: T, *more: Callable[[T], list[str]]) -> T:
    """Return the component, or raise one `SettingError` with every problem it has."""
    found = problems(component) + [text for check in more for text in check(component)]
    if found:
        raise SettingError(found)
    return component


def is_component(value: object) -> bool:
    """Tell whether a value is a dataclass of settings."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def flag(name: str) -> str:
    """Return the command-line flag of a field: `crops.local_size` -> `--crops.local-size`."""
    return "--" + name.replace("_", "-")


def as_dict(component: Any, *, identity_only: bool = False) -> dict[str, Any]:
    """Return the settings of a component as plain JSON values, in the order of their names."""
    return {
        item.name: plain(getattr(component, item.name), identity_only=identity_only)
        for item in sorted(dataclasses.fields(component), key=lambda item: item.name)
        if facts(item).identity or not identity_only
    }


def asked_artifacts(component: Any) -> dict[str, Any]:
    """Return the settings that ask for files beside the record, those that ask for none left out.

    None, 0, False and "none" ask for nothing.
    """
    return {
        item.name: value
        for item in dataclasses.fields(component)
        if facts(item).artifact
        and (value := plain(getattr(component, item.name))) not in (None, 0, False, "none")
    }


def plain(value: Any, *, identity_only: bool = False) -> Any:
    """Turn a settings value into what JSON can hold."""
    if is_component(value):
        kind = type(value).__name__
        return {"kind": kind, **as_dict(value, identity_only=identity_only)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item, identity_only=identity_only) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        items = [plain(item, identity_only=identity_only) for item in value]
        return sorted(items) if isinstance(value, frozenset | set) else items
    return str(value) if isinstance(value, Path) else value


def digest(document: Any) -> str:
    """Hash a JSON-like document, independent of the order of its keys (sha256, hexadecimal)."""
    text = json.dumps(plain(document), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
