"""Names of architectures, found without importing the libraries that build them."""

import timm

from vitbench.models.architecture_names import matching, own_names, timm_names
from vitbench.models.factory import find_architecture


def test_the_names_in_timms_source_are_the_names_that_timm_lists() -> None:
    assert [*timm_names()] == sorted(timm.list_models())


def test_every_name_of_ours_is_an_architecture() -> None:
    assert [find_architecture(name).name for name in own_names()] == [*own_names()]


def test_a_pattern_is_a_part_of_the_name_or_has_wildcards() -> None:
    names = ("vit_small_patch16_224", "vit_base_patch16_224", "swin_tiny")
    assert matching(names, "small") == ["vit_small_patch16_224"]
    assert matching(names, "vit_*_224") == ["vit_small_patch16_224", "vit_base_patch16_224"]
    assert matching(names, "patch16") == ["vit_small_patch16_224", "vit_base_patch16_224"]
