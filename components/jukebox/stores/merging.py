"""What of one registry's holdings another has not: they come together where they do not contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.errors import ChangeRefused
from jukebox.stores.nouns import Holdings

if TYPE_CHECKING:
    from collections.abc import Mapping


def missing(there: Holdings, given: Holdings) -> Holdings:
    """Return what ``given`` holds and ``there`` does not; raises ChangeRefused where one name stands for two things."""
    features = {str(each.newest.name): each for each in there.features}
    offline, online = {each.uri: each for each in there.offline}, dict(there.online)
    clashes = [
        *(_clash("feature", name, "versions or another history") for name in _other(features, _features(given))),
        *(_clash("offline source", uri, "contents") for uri in _other(offline, {s.uri: s for s in given.offline})),
        *(_clash("online source of", name, "place or contents") for name in _other(online, dict(given.online))),
    ]
    if clashes:
        raise ChangeRefused(clashes)
    return Holdings(
        tuple(each for each in given.features if str(each.newest.name) not in features),
        tuple(each for each in given.offline if each.uri not in offline),
        tuple((name, each) for name, each in given.online if name not in online),
    )


def _features(holdings: Holdings) -> Mapping[str, object]:
    return {str(each.newest.name): each for each in holdings.features}


def _other(there: Mapping[str, object], given: Mapping[str, object]) -> list[str]:
    return [name for name, each in given.items() if name in there and there[name] != each]


def _clash(what: str, name: str, other: str) -> str:
    return f"the {what} '{name}' is registered already, with other {other}"
