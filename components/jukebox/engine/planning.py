"""What a registration would do, and what was made of the features that it would change: before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jukebox.core.uses import Uses
from jukebox.core.uses_together import uses_of_each
from jukebox.errors import NotRegistered
from jukebox.stores import is_there, open_lineage, open_registry
from jukebox.stores.changes import Change, Difference, differences, forced_names, refusals
from jukebox.stores.nouns import Holdings, RegisteredFeature
from jukebox.stores.snapshot import SnapshotRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jukebox.features import Feature
    from jukebox.stores import Registry

NOTHING = Uses()


@dataclass(frozen=True)
class Planned:
    """What a registration would do to a feature.

    ``refused`` says why it would be refused. ``uses`` is what was made of the feature so far, of all its versions: none
    for a new one and an unchanged one, and None where the registry holds no lineage.
    """

    before: RegisteredFeature | None
    after: RegisteredFeature
    differences: tuple[Difference, ...] = ()
    refused: str | None = None
    uses: Uses | None = NOTHING


def plan(features: Sequence[Feature], registry: str, *, force: Iterable[str] = ()) -> tuple[Planned, ...]:
    """Return what registering ``features`` would do, in their order; writes nothing, and makes no registry.

    Raises NameClash for a name given twice, and UnknownFeature for a forced one that is not given.
    """
    known: Registry = open_registry(registry) if is_there(registry) else SnapshotRegistry(registry, Holdings())
    after = known.plan(features)
    former = {str(each.name): each for each in known.features()}
    changes = [Change(former.get(str(each.name)), each) for each in after]
    uses = _uses(registry, [c.after for c in changes if c.before is not None and c.after.change != "unchanged"])
    refused = refusals(changes, lambda name: _deployed(uses[name]), forced_names(force, features))
    return tuple(
        Planned(c.before, c.after, differences(c), refused.get(str(c.after.name)), uses.get(str(c.after.name), NOTHING))
        for c in changes
    )


def _uses(registry: str, changed: Sequence[RegisteredFeature]) -> Mapping[str, Uses | None]:
    names = [str(each.name) for each in changed]
    if not names:
        return {}
    try:
        return uses_of_each(open_lineage(registry), names)
    except NotRegistered:
        return dict.fromkeys(names)


def _deployed(uses: Uses | None) -> list[str]:
    return [] if uses is None else [node.uri for node in uses.deployed]
