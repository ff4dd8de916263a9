"""What a server is set to: limits of requests, the token, and the models that it answers for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jukebox.errors import InvalidValue

if TYPE_CHECKING:
    from jukebox.serving.reader import FeatureReader
    from jukebox.serving.server.predicting import Predictor


@dataclass(frozen=True)
class Limits:
    """What a request may ask for: bytes of its body, entities, features, seconds until its answer.

    ``upload`` is how many seconds its body may take to come. Raises InvalidValue for a limit of nothing.
    """

    body: int = 1 << 20
    entities: int = 1_000
    features: int = 1_000
    seconds: float = 2.0
    upload: float = 30.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InvalidValue(f"the limit of {name} is {value}; it is more than 0")


@dataclass(frozen=True)
class Model:
    """A model by name: the reader of its features, and what predicts with it, where it is a SavedModel."""

    name: str
    reader: FeatureReader
    predictor: Predictor | None = None
