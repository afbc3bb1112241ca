"""For authors of plug-ins: does my component keep the contract?"""

from vitbench.testing.backbones import check_backbone
from vitbench.testing.components import check_reader, check_recipe_of, check_scorer
from vitbench.testing.conformance import check_protocol
from vitbench.testing.finding import Finding

__all__ = [
    "Finding",
    "check_backbone",
    "check_protocol",
    "check_reader",
    "check_recipe_of",
    "check_scorer",
]
