"""The help of a protocol or scorer above its flags: what it measures, its data and presets."""

import textwrap
from collections.abc import Mapping, Sequence

from vitbench.data.dataset import DATA_VARIABLE
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.engine.describe import Command, Description, describe
from vitbench.engine.protocol import Scoring

WIDTH = 100


def component_help(component: type[Scoring], command: Command, preset: str | None) -> str:
    """Return what `vitbench eval PROTOCOL --help` says before the flags.

    Args:
        component: The class of the protocol or scorer.
        command: The command that runs it.
        preset: The preset that was typed: the flags below have its defaults.
    """
    told = describe(component, command)
    chosen = f"The defaults below are those of preset {preset}." if preset else ""
    parts = (
        textwrap.fill(told.measures, WIDTH, break_on_hyphens=False),
        _facts({"reports": told.reports, "data": _data(told)}),
        _listed("folder layout", told.layout),
        _presets(told.presets),
        _listed("examples", told.examples, wrapped=False),
        chosen,
    )
    return "\n\n".join(filter(None, parts))


def index(summaries: Mapping[str, str]) -> str:
    """Return one line for each protocol or scorer, by its name, for the help of the command."""
    width = max(map(len, summaries), default=0)
    return "\n".join(f"  {name:{width}}  {told}" for name, told in summaries.items())


def _data(told: Description) -> str:
    if not told.usual:
        return f"{told.kind}, named by --data; --data {SYNTHETIC} is built in"
    return (
        f"{told.kind}; --data left out: ${DATA_VARIABLE}/{told.usual}; "
        f"--data {SYNTHETIC} is built in"
    )


def _facts(facts: Mapping[str, str]) -> str:
    return "\n".join(_hanging(f"{name + ':':9}", text) for name, text in facts.items() if text)


def _listed(title: str, lines: Sequence[str], *, wrapped: bool = True) -> str:
    if not lines:
        return ""
    texts = (_hanging("  ", line) if wrapped else f"  {line}" for line in lines)
    return "\n".join([f"{title}:", *texts])


def _presets(presets: Mapping[str, str]) -> str:
    if not presets:
        return ""
    width = max(map(len, presets))
    rows = (_hanging(f"  {name:{width}}  ", text) for name, text in presets.items())
    return "\n".join(["presets (--preset NAME):", *rows])


def _hanging(left: str, text: str) -> str:
    """Write a text beside a name; its further lines begin below the text."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=left,
        subsequent_indent=" " * len(left),
        break_on_hyphens=False,
        break_long_words=False,
    )
