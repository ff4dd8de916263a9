"""How a feature is called: its canonical name, its short form and its family."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jukebox.errors import InvalidType, InvalidValue

_ENTITY = re.compile(r"[A-Za-z0-9_]+")
# No leading dot: a name may become a file or a column, and ".." is neither.
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_CANONICAL = re.compile(r"/?entity/([^/]+)/component/([^/]+)/name/([^/]+)")
_SHORT = re.compile(r"/?([^/]+)/([^/]+)/([^/]+)")


@dataclass(frozen=True, order=True)
class FeatureName:
    """``/entity/<entity>/component/<component>/name/<name>``: who it is about, who makes it, what it is.

    >>> FeatureName.parse("airport/flights-weather/temp")
    FeatureName(entity='airport', component='flights-weather', name='temp')
    >>> str(FeatureName.parse("entity/airport/component/flights-weather/name/temp"))
    '/entity/airport/component/flights-weather/name/temp'
    """

    entity: str
    component: str
    name: str

    def __post_init__(self) -> None:
        if _ENTITY.fullmatch(self.entity) is None:
            raise InvalidValue(f"entity '{self.entity}' must be letters, digits and underscores")
        for part, text in (("component", self.component), ("name", self.name)):
            if _WORD.fullmatch(text) is None:
                raise InvalidValue(f"{part} '{text}' must be letters, digits, underscores, dots and hyphens")

    @classmethod
    def parse(cls, text: str) -> FeatureName:
        """Return the name that ``text`` spells, canonical or short, with or without the leading slash.

        Raises InvalidValue when it spells none, and InvalidType when it is no text.
        """
        if not isinstance(text, str):
            raise InvalidType(f"a feature name is text, not {type(text).__name__} {text!r}")
        match = _CANONICAL.fullmatch(text) or _SHORT.fullmatch(text)
        if match is None:
            raise InvalidValue(
                f"'{text}' is no feature name; it is written "
                "/entity/<entity>/component/<component>/name/<name> or /<entity>/<component>/<name>"
            )
        return cls(*match.groups())

    @property
    def short(self) -> str:
        """The short form, ``/<entity>/<component>/<name>``."""
        return f"/{self.entity}/{self.component}/{self.name}"

    @property
    def family(self) -> str:
        """The family, ``/<entity>/<name>``: the same idea of the same entity, whoever makes it."""
        return f"/{self.entity}/{self.name}"

    def __str__(self) -> str:
        return f"/entity/{self.entity}/component/{self.component}/name/{self.name}"


def split_version(text: str) -> tuple[FeatureName, int | None]:
    """Return the name and the version that ``text`` spells, ``/airport/weather/temp@2``; None where it has none."""
    name, at, version = text.partition("@")
    if at and not (version.isascii() and version.isdigit()):
        raise InvalidValue(f"'{text}' has the version '{version}', which is no number")
    return FeatureName.parse(name), int(version) if at else None
