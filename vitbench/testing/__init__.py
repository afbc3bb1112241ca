"""Checks for authors of plug-ins that a component keeps its contract."""

from vitbench.testing.backbones import check_backbone
from vitbench.testing.components import check_recipe_of, check_scorer
from vitbench.testing.conformance import check_protocol
from vitbench.testing.finding import Finding
from vitbench.testing.reader_checks import check_reader

__all__ = [
    "Finding",
    "check_backbone",
    "check_protocol",
    "check_reader",
    "check_recipe_of",
    "check_scorer",
]
