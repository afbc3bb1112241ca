"""Presets: published variants of a protocol, by name."""

from collections.abc import Mapping
from typing import Any, TypeVar

from vitbench.engine.protocol import Scoring
from vitbench.errors import UnknownName
from vitbench.records import ProtocolRef
from vitbench.settings import as_dict, digest

T = TypeVar("T", bound=Scoring)


def preset_settings(component: type[Scoring], preset: str | None) -> Mapping[str, Any]:
    """Return the settings that a preset fixes; empty where the preset is None.

    Raises:
        UnknownName: If there is no preset of that name.
    """
    if preset is None:
        return {}
    if preset not in component.presets:
        raise UnknownName(f"preset of {component.name}", preset, component.presets)
    return component.presets[preset]


def from_preset(component: type[T], preset: str | None = None, **changes: Any) -> T:
    """Make a component with the settings of a preset and some of its own.

    Args:
        component: The protocol or scorer.
        preset: Its name; None stands for the defaults of the fields.
        changes: Settings that win over the preset's.

    Raises:
        UnknownName: If there is no preset of that name.
    """
    return component(**{**preset_settings(component, preset), **changes})


def preset_of(component: Scoring) -> str:
    """Return the name of the preset whose settings these are, or "" for settings of one's own."""
    own = as_dict(component, identity_only=True)
    kind: Any = type(component)
    for name, settings in component.presets.items():
        if as_dict(kind(**settings), identity_only=True) == own:
            return name
    return ""


def spec_of(component: Scoring) -> dict[str, Any]:
    """Return all of a component that can move a score: name, version and settings."""
    return {
        "name": component.name,
        "version": component.version,
        "settings": as_dict(component, identity_only=True),
    }


def described(component: Scoring, computing: Mapping[str, Any]) -> ProtocolRef:
    """Describe a component for a record.

    Args:
        component: With its settings.
        computing: What else of its identity is not the data's.
    """
    return ProtocolRef(
        name=component.name,
        version=component.version,
        spec_id=digest({**spec_of(component), **computing})[:16],
        preset=preset_of(component),
        settings={**as_dict(component), **computing},
    )


def identity_of(component: Scoring) -> str:
    """Hash all of a component that can move a score (hexadecimal)."""
    return digest(spec_of(component))[:16]
