"""Resolve a typed checkpoint to weights with an identity, and build the backbone from them."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

import torch

from vitbench.download import Progress, quiet
from vitbench.errors import SettingError
from vitbench.models.backbone import AnyArchitecture, Backbone
from vitbench.models.checkpoint_facts import (
    choose_pooling,
    choose_position_rule,
    other_weights,
    warn_of_normalization,
)
from vitbench.models.code_names import network_named
from vitbench.models.constants import Pooling, PositionRule, Triple
from vitbench.models.factory import assemble
from vitbench.models.fitting_weights import fitting_state, recognize_weights
from vitbench.models.infer_architecture import infer_architecture
from vitbench.models.key_choice import KeyChoice
from vitbench.models.locate import find_source
from vitbench.models.manifest import Manifest
from vitbench.models.python_network import PythonArchitecture
from vitbench.models.spec_facts import split_facts
from vitbench.models.state_dict import Accounting, State, content_sha256
from vitbench.models.swin_architecture import SwinArchitecture
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.user_facts import (
    DEFAULT,
    DefaultFacts,
    UserFacts,
    check_normalization,
    choose_arch,
    choose_normalization,
    not_applied,
    settle_normalization,
)
from vitbench.models.weight_values import check_values
from vitbench.models.wrapped import describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Weights with their identity, and every fact needed to run them; nothing is a guess."""

    spec: str  # as the user typed it
    name: str
    method: str  # "" where nothing says it
    format: str
    architecture: AnyArchitecture | PythonArchitecture
    pooled_from: Pooling  # which image-level feature the backbone gives
    position_rule: PositionRule
    mean: Triple
    std: Triple
    normalization_from: str  # "flag", "manifest", "file" or "ImageNet default"
    sha256: str  # of the backbone's tensors by our names
    file_sha256: str  # "" if no file is behind it
    manifest: Manifest | None
    accounting: Accounting
    said: tuple[str, ...]  # what was inferred and chosen, as lines for people
    key: str = ""  # of the `AskedCheckpoint` that it was found for; what is said of it is kept
    state: State = field(repr=False, compare=False)
    network: Backbone | None = field(default=None, repr=False, compare=False)  # built by its code


def resolve(
    spec: str,
    *,
    arch: str | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    position_rule: PositionRule | None = None,
    pooling: Pooling | None = None,
    state_key: str | None = None,
    prefix: str = "",
    ignore: tuple[str, ...] = (),
    heads: int | None = None,
    native_px: int | None = None,
    tokens: str | None = None,
    defaults: DefaultFacts = DefaultFacts(),  # noqa: B008  (frozen)
    progress: Progress = quiet,
) -> Checkpoint:
    """Find, open and check a checkpoint.

    Args:
        spec: A path, a manifest's name, `timm:NAME`, `hf-hub:ID`, `random:ARCH[?seed=N]`,
            `pixels:PATCH`, the folder of a run; `package.module:function` or the name of a
            plug-in's backbone. Facts may be typed behind it, which win over the arguments:
            `ckpt.pth@arch=vit_small_patch16_224,mean=0.5,std=0.5`.
        arch: Architecture, for a file that does not say its attention heads.
        mean: Input normalization; overrules what the manifest or the file says.
        std: Likewise.
        position_rule: How the positional table is resized; likewise.
        pooling: Image-level feature, where the weights offer more than one. Left out: class
            attention if the file has it, else the class token, else the mean patch.
        state_key: Dotted path of the weights inside the file.
        prefix: Text taken off the front of every key of the file; keys without it are left out.
        ignore: Shell patterns of keys of the file, without the prefix, that are left out.
        heads: Attention heads of a ViT; overrules whatever else says them.
        native_px: Image size that a Swin Transformer was made for, likewise.
        tokens: Which features of a network from code to take; see `wrap`.
        defaults: Architecture and normalization of a checkpoint that does not know its own; where
            it does, `said` tells that they were not applied.
        progress: Told about a download, if there is one.

    Raises:
        CheckpointError: If it can't be found or read, its weights are no finite numbers, or its
            heads are unknown.
        StateMismatch: If a key is left over or a parameter not filled.
        SettingError: If a mean or standard deviation is out of its range.
        UnknownName: If the spec is neither a path nor a known name.
    """
    spec, typed = split_facts(spec)
    user = replace(
        UserFacts(
            arch=arch,
            mean=mean,
            std=std,
            position_rule=position_rule,
            pooling=pooling,
            state_key=state_key,
            prefix=prefix,
            ignore=ignore,
            heads=heads,
            native_px=native_px,
            tokens=tokens,
        ),
        **typed,
    )
    check_normalization(user.mean, user.std)
    check_normalization(defaults.mean, defaults.std)
    named = network_named(spec, tokens=user.tokens)
    if named is not None:
        _refuse(user.of_files(), f"{spec!r} is a network from code, which has its own")
        network, method = named
        return checkpoint_of(
            network, spec=spec, method=method, mean=user.mean, std=user.std, defaults=defaults
        )
    _refuse({"tokens": user.tokens}, f"{spec!r} is no network from code")
    return _from_weights(spec, user, defaults, progress)


def _from_weights(
    spec: str, user: UserFacts, defaults: DefaultFacts, progress: Progress
) -> Checkpoint:
    """Open the weights that a spec names, and settle every fact about them."""
    source = find_source(spec, progress)
    manifest, told = source.manifest, source.facts
    arch, unused = choose_arch(source, user.arch, defaults.arch)
    choice = KeyChoice(prefix=user.prefix, ignore=user.ignore)
    found = recognize_weights(source, arch, user.state_key, choice)
    if found.format.network is not None and arch and not user.arch:
        arch, unused = None, (not_applied("arch", f"a {found.format.about} tells its own"),)
    architecture, identified = infer_architecture(
        found, source, arch, heads=user.heads, native=user.native_px
    )
    architecture, pooled_from = choose_pooling(
        architecture, user.pooling, told.pooling, source.name
    )
    state, accounting = fitting_state(found, architecture, pooled_from, source.name)
    check_values(state, subject=source.name)
    normalization = choose_normalization(source, user, defaults)
    rule, rule_from = choose_position_rule(source, user, found)
    if isinstance(architecture, TimmArchitecture):
        rule, rule_from = "own", "the architecture"
    elif isinstance(architecture, SwinArchitecture) or not architecture.positions:
        rule, rule_from = "none", "the architecture"
    said = (
        source.origin,
        f"format {found.format.name} ({found.format.about}), weights in {found.where}",
        f"architecture {architecture.describe()}",
        *identified,
        f"image-level feature: {pooled_from}",
        accounting.summary(),
        f"positions resized by rule {rule!r}, from {rule_from}",
        f"mean {normalization.mean}, std {normalization.std}, from {normalization.origin}",
        *unused,
        *normalization.unused,
        *(warn_of_normalization(architecture, normalization) if told.method != "random" else ()),
        *other_weights(found.others),
    )
    return Checkpoint(
        spec=spec,
        name=source.name,
        method=(manifest.method if manifest else told.method) or found.format.method,
        format=found.format.name,
        architecture=architecture,
        pooled_from=pooled_from,
        position_rule=rule,
        mean=normalization.mean,
        std=normalization.std,
        normalization_from=normalization.origin,
        sha256=content_sha256(state),
        file_sha256=source.file_sha256,
        manifest=manifest,
        accounting=accounting,
        said=said,
        state=state,
    )


def checkpoint_of(
    network: Backbone,
    *,
    spec: str = "",
    method: str = "",
    mean: Triple | None = None,
    std: Triple | None = None,
    defaults: DefaultFacts = DefaultFacts(),  # noqa: B008  (frozen)
) -> Checkpoint:
    """Return a network that lives in memory as a checkpoint; it stays as it is.

    Args:
        network: With its weights.
        spec: What the user typed for it, if anything.
        method: How the weights were made, where that is known.
        mean: Input normalization; overrules the network's own.
        std: Likewise.
        defaults: Normalization of a network that does not know its own.

    Raises:
        CheckpointError: A weight is no finite number.
        SettingError: If a mean or standard deviation is out of its range.
    """
    check_normalization(mean, std)
    info = network.info
    architecture = network.architecture or network.code
    state = network.own_state()
    if network.architecture is None:  # it builds no buffer again that no state dict holds
        state = {**state, **dict(network.named_buffers())}
    check_values(state, subject=info.arch)
    who = getattr(network, "normalization_from", "network")
    own = (None, None) if who == DEFAULT else (info.mean, info.std)
    normalization = settle_normalization(UserFacts(mean=mean, std=std), own, who, defaults)
    unused = (not_applied("arch", "the code makes the network"),) if defaults.arch else ()
    return Checkpoint(
        spec=spec,
        name=info.arch,
        method=method,
        format="code",
        architecture=architecture,
        pooled_from=info.pooled_from,
        position_rule=info.position_rule,
        mean=normalization.mean,
        std=normalization.std,
        normalization_from=normalization.origin,
        sha256=content_sha256(state),
        file_sha256="",
        manifest=None,
        accounting=Accounting(len(state), (), ()),
        said=(
            f"network {architecture.describe()}",
            describe(network),
            f"mean {normalization.mean}, std {normalization.std}, from {normalization.origin}",
            *unused,
            *normalization.unused,
        ),
        state=state,
        network=network,
    )


def load_backbone(checkpoint: Checkpoint, *, device: torch.device | str = "cpu") -> Backbone:
    """Build the network of a checkpoint with its own copy of the weights: evaluating, frozen."""
    if checkpoint.network is not None:
        copy = deepcopy(checkpoint.network).to(device).eval().requires_grad_(False)
        copy.info = replace(copy.info, mean=checkpoint.mean, std=checkpoint.std)
        return copy
    assert not isinstance(checkpoint.architecture, PythonArchitecture)
    backbone = assemble(
        checkpoint.architecture,
        pooled_from=checkpoint.pooled_from,
        mean=checkpoint.mean,
        std=checkpoint.std,
        position_rule=checkpoint.position_rule,
    ).to_empty(device=device)
    backbone.fill(checkpoint.state)
    return backbone.eval().requires_grad_(False)


def _refuse(facts: Mapping[str, object], why: str) -> None:
    """Refuse facts that a subject can't be told."""
    told = [name for name, value in facts.items() if value is not None]
    if told:
        raise SettingError([f"{', '.join(told)}: {why}"], hint=f"without {', '.join(told)}")
