"""Searching a registry: what is asked, a page of the answer, and an index that answers from memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jukebox.errors import InvalidValue
from jukebox.features import FeatureName
from jukebox.features.spellings import offer
from jukebox.stores.changes import LIFE_CYCLES, SCOPES, require_known

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from jukebox.features import Endpoint
    from jukebox.stores.nouns import RegisteredFeature

_CLOSED = {"life_cycle": LIFE_CYCLES, "scope": SCOPES}


@dataclass(frozen=True)
class Query:
    """What is asked for; all that is given must hold, and None asks for nothing.

    ``text`` is words that name, description or tags hold, each somewhere, in whatever case. ``online`` asks for
    features that are served (True) or not (False), in their newest version; ``model`` is a model's URI, whose features
    count in any version. ``limit`` bounds the page, and ``after`` is the name that the page before ended with:
    features that come or go in the meantime neither double nor hide others.
    """

    text: str | None = None
    entity: str | None = None
    family: str | None = None
    endpoint: str | None = None
    owner: str | None = None
    tag: str | None = None
    life_cycle: str | None = None
    scope: str | None = None
    data_type: str | None = None
    online: bool | None = None
    model: str | None = None
    limit: int | None = None
    after: str | None = None

    def __post_init__(self) -> None:
        for field, known in _CLOSED.items():
            value = getattr(self, field)
            if value is not None:
                require_known(field.replace("_", " "), value, known)
        if self.limit is not None and self.limit < 1:
            raise InvalidValue(f"a page of {self.limit} features is none; the limit is 1 or more")


@dataclass(frozen=True)
class Page:
    """Features by name; ``total`` of them were found, and ``after`` asks for the next page, None at the end."""

    features: tuple[RegisteredFeature, ...]
    total: int
    after: str | None = None


class Index:
    """The newest versions of features, by name, with what each is found by."""

    def __init__(self, features: Iterable[RegisteredFeature]) -> None:
        self.features = tuple(sorted(features, key=lambda registered: str(registered.name)))
        self._names = [str(registered.name) for registered in self.features]
        self._texts = [_text(registered) for registered in self.features]
        self._facets = [_facets(registered) for registered in self.features]

    def search(self, query: Query, *, online: Container[str] = (), used: Container[str] | None = None) -> Page:
        """Return a page of the features that ``query`` asks for.

        ``online`` are the versioned names that are served, ``used`` the names of the features of the query's model.
        """
        found = [place for place in self._found(query) if self._holds(place, query, online, used)]
        first = 0 if query.after is None else self._after(query.after, found)
        last = len(found) if query.limit is None else first + query.limit
        page = tuple(self.features[place] for place in found[first:last])
        return Page(page, len(found), str(page[-1].name) if page and last < len(found) else None)

    def counts(self, facet: str) -> dict[str, int]:
        """Return how many features have each value of a facet, by value.

        Facets are entity, family, endpoint, owner, tag, life_cycle, scope and data_type. Raises InvalidValue.
        """
        require_known("facet", facet, _NAMES)
        at = _NAMES.index(facet)
        return dict(sorted(Counter(value for facets in self._facets for value in _each(facets[at])).items()))

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the data endpoints of the features, by name; one name in several declarations comes once for each."""
        declared = {registered.feature.endpoint: None for registered in self.features}
        return tuple(sorted(declared, key=lambda endpoint: endpoint.name))

    def nearest(self, query: Query) -> tuple[str, ...]:
        """Return, for each filter whose value no feature has, a sentence with the nearest values that there are."""
        asked = [(at, name, value) for at, name in enumerate(_NAMES) if (value := getattr(query, name)) is not None]
        known = {at: {each for facets in self._facets for each in _each(facets[at])} for at, _, _ in asked}
        return tuple(
            f"no feature has the {name.replace('_', ' ')} '{value}'{offer(value, known[at])}"
            for at, name, value in asked
            if value not in known[at]
        )

    def _found(self, query: Query) -> Iterable[int]:
        words = (query.text or "").lower().split()
        places: Iterable[int] = range(len(self.features))
        for word in words:
            places = [place for place in places if word in self._texts[place]]
        for at, name in enumerate(_NAMES):
            value = getattr(query, name)
            if value is not None:
                places = [place for place in places if value in _each(self._facets[place][at])]
        return places

    def _holds(self, place: int, query: Query, online: Container[str], used: Container[str] | None) -> bool:
        if used is not None and self._names[place] not in used:
            return False
        return query.online is None or (self.features[place].versioned in online) is query.online

    def _after(self, name: str, found: Sequence[int]) -> int:
        last = bisect_right(self._names, str(FeatureName.parse(name)))
        return bisect_right(found, last - 1)


_NAMES = ("entity", "family", "endpoint", "owner", "tag", "life_cycle", "scope", "data_type")


def _facets(registered: RegisteredFeature) -> tuple[str | tuple[str, ...] | None, ...]:
    feature = registered.feature
    name, about = registered.name, (feature.life_cycle, feature.scope, feature.data_type)
    return name.entity, name.family, feature.endpoint.name, feature.owner, feature.tags, *about


def _each(values: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if values is None:
        return ()
    return (values,) if isinstance(values, str) else values


def _text(registered: RegisteredFeature) -> str:
    feature = registered.feature
    return "\n".join((str(feature.name), feature.name.short, feature.description, *feature.tags)).lower()
