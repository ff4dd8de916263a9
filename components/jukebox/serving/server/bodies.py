"""What requests and answers hold, as the OpenAPI document tells it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

Entity = dict[str, Any]
_Name = Annotated[str, Field(min_length=1, max_length=1_000)]
_At = Annotated[str | None, Field(description="As of this time, by default now.", examples=["2013-07-01T12:00:00Z"])]
_Id = Annotated[str | None, Field(min_length=1, max_length=200, description="By default a new one.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Read(_Strict):
    entities: Annotated[
        list[Entity],
        Field(
            description="Each maps key columns, and contextual features, to values.", examples=[[{"airport": "JFK"}]]
        ),
    ]
    context: Annotated[Entity, Field(description="Contextual features that all entities share.")] = {}
    at: _At = None
    timeout: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="Seconds, at most those of the server.")
    ] = None
    request_id: _Id = None


class ReadFeatures(_Read):
    """Features by name for entities."""

    features: Annotated[
        list[_Name] | dict[_Name, Any],
        # The reader says in one sentence what is wrong with it, and not once for the list and once for the mapping.
        SkipValidation,
        Field(
            description="Names, or a mapping from names to what their values are called.",
            examples=[["/airport/flights-weather/temp"]],
        ),
    ]


class ReadModelFeatures(_Read):
    """The features of a model for entities."""


class Value(BaseModel):
    """A feature's value, with the time at which it became true and its state."""

    value: Any
    event_time: str | None
    status: Annotated[str, Field(description="fresh, stale, missing or unknown_entity")]


class Vectors(BaseModel):
    """A vector for each entity, in order, and the version of each feature."""

    request_id: str
    features: dict[str, str]
    vectors: list[dict[str, Value]]


class Asked(BaseModel):
    """A feature that a model reads: its version, what the model calls it, its limit of age and its role.

    ``identifiers`` tell by name how ids are to be written that its table has in another way.
    """

    feature: str
    column: str
    max_age: str | None
    keys: dict[str, str]
    identifiers: dict[str, str]


class ModelFeatures(BaseModel):
    """What a model reads; ``entity`` is what it is read by, ``context`` what requests tell, each with its type."""

    model: str
    features: list[Asked]
    entity: dict[str, str]
    context: dict[str, str]


class Predict(_Strict):
    """Instances in rows, or inputs in columns, as TensorFlow Serving takes them; what is not given is fetched.

    ``at`` and ``request_id``, which TensorFlow Serving has not, are those of a read.
    """

    signature_name: str | None = None
    instances: Annotated[list[Any] | None, Field(description="One an entity.", examples=[[{"airport": "JFK"}]])] = None
    inputs: Annotated[Any, Field(description="Columns by name, or one column.")] = None
    at: _At = None
    request_id: _Id = None


class Predictions(BaseModel):
    """Predictions in rows, for instances, or outputs in columns, for inputs."""

    predictions: list[Any] | None = None
    outputs: Any = None


class _Fine(BaseModel):
    error_code: str
    error_message: str


class _Version(BaseModel):
    version: str
    state: str
    status: _Fine


class ModelStatus(BaseModel):
    """The versions of a model and their states, as TensorFlow Serving tells them; there is one."""

    model_version_status: list[_Version]


class Probe(BaseModel):
    """How a server is."""

    status: Annotated[str, Field(description="alive or ready")]


class Error(BaseModel):
    """What was wrong."""

    error: str
