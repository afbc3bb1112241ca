"""The weights of a file by our names, which must fill the network exactly."""

from dataclasses import replace

from vitbench.models.aggregated import CA_HEAD
from vitbench.models.backbone import AnyArchitecture
from vitbench.models.constants import Pooling
from vitbench.models.factory import assemble, find_architecture
from vitbench.models.key_choice import KeyChoice
from vitbench.models.locate import Source
from vitbench.models.recognize_format import Recognized, recognize
from vitbench.models.state_dict import Accounting, State, check_complete
from vitbench.models.state_dict_formats import FORMATS
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_formats import TIMM_FORMATS
from vitbench.models.timm_state import recognize_timm
from vitbench.models.weight_places import inside, tensors_of


def recognize_weights(
    source: Source, arch: str | None, state_key: str | None, choice: KeyChoice
) -> Recognized:
    """Return the weights of a source by our names, by those of timm for a network of timm."""
    manifest = source.manifest
    key = state_key or (manifest.state_key or None if manifest else None)
    ignore = manifest.ignore if manifest else ()
    said = arch or (manifest.arch if manifest else source.facts.arch)
    wanted = find_architecture(said) if said else source.facts.architecture
    content = choice.chosen(source.content, subject=source.name)
    if isinstance(wanted, TimmArchitecture):
        found = recognize_timm(content, wanted, subject=source.name, state_key=key, ignore=ignore)
    else:
        layouts = (*TIMM_FORMATS, *FORMATS)
        found = recognize(content, layouts, subject=source.name, state_key=key, ignore=ignore)
    where = "" if found.where == "the file" else found.where
    left_out = choice.left_out(tensors_of(inside(source.content, where)))
    return replace(found, ignored=(*found.ignored, *left_out))


def fitting_state(
    found: Recognized, architecture: AnyArchitecture, pooled_from: Pooling, name: str
) -> tuple[State, Accounting]:
    """Demand that the weights fill the network exactly; leave class attention out if unused."""
    skipped = () if architecture.class_attention else (CA_HEAD,)
    state = {key: value for key, value in found.state.items() if not key.startswith(skipped)}
    expected = assemble(architecture, pooled_from=pooled_from).own_state()
    check_complete(state, expected, subject=name, where=found.where)
    unused = (key for key in found.state if key not in state)
    return state, Accounting(len(state), found.renamed, (*found.ignored, *unused))
