"""``jukebox serve``: the server of features and predictions."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukebox.cli.arguments import Registry, Text  # noqa: TC001 - typer reads the annotations
from jukebox.errors import InvalidValue, NameClash
from jukebox.stores import DEFAULT_REGISTRY, place

if TYPE_CHECKING:
    from jukebox.serving.feature_log import FeatureLog
    from jukebox.serving.server import Model


def serve(
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(help="NAME=URI of a model in the lineage, and its SavedModel; once for each model."),
    ] = None,
    features_only: Annotated[bool, typer.Option(help="Read the models' features, and load no SavedModel.")] = False,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen at.")] = 8080,
    token: Annotated[
        Text, typer.Option(envvar="JUKEBOX_TOKEN", help="Requests must carry it: Authorization: Bearer TOKEN.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that a read may take.")] = 2.0,
    hedge_after: Annotated[
        float | None, typer.Option(help="Ask a store again that has not answered after so many seconds.")
    ] = None,
    max_body: Annotated[int, typer.Option(help="Bytes that a request may have.")] = 1 << 20,
    max_entities: Annotated[int, typer.Option(help="Entities that a request may ask for.")] = 1_000,
    max_connections: Annotated[int, typer.Option(help="Connections at once; others get 503.")] = 1_000,
    patience: Annotated[float, typer.Option(help="Seconds for requests under way when it is told to stop.")] = 10.0,
    log: Annotated[Text, typer.Option(help="A folder for a log of what is served.")] = None,
    log_sample: Annotated[float, typer.Option(help="The share of the keys that is logged.")] = 1.0,
    log_sample_by: Annotated[
        Text, typer.Option(help="Parts of the key, with commas between, that alone decide whether it is logged.")
    ] = None,
    log_format: Annotated[str, typer.Option(help="How the log is kept: parquet or tfrecord.")] = "parquet",
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Serve features, and predictions of exported models, over HTTP until SIGTERM.

    [dim]jukebox serve --model late=serving/1700000000 --port 8080[/]
    """
    from jukebox.cli.drawing import counted
    from jukebox.cli.options import names, there
    from jukebox.serving.feature_log import FeatureLog
    from jukebox.serving.reader import FeatureReader
    from jukebox.serving.server import Limits, make_app
    from jukebox.serving.server.running import run

    if token is not None and not token.isascii():
        raise InvalidValue("--token has letters beyond ASCII, which no HTTP header carries")
    there(registry)
    limits = Limits(body=max_body, entities=max_entities, seconds=timeout)
    by = None if log_sample_by is None else names(log_sample_by)
    about: dict[str, Any] = {"sample": log_sample, "sample_by": by, "storage_format": log_format}
    logging = nullcontext() if log is None else FeatureLog(place(log), **about)
    with logging as told:
        options: dict[str, Any] = {"timeout": timeout, "hedge_after": hedge_after, "told": told}
        models = [
            _model(*each, registry=registry, features_only=features_only, options=options)
            for each in _named(model or ())
        ]
        app = make_app(FeatureReader(registry, **options), models, token=token or None, limits=limits, log=told)
        typer.echo(
            f"serving at http://{host}:{port}, {counted(len(models), 'model')}; /openapi.json says what there is"
        )
        run(app, host=host, port=port, connections=max_connections, patience=patience)
    if told is not None:
        _logged(told)


def _logged(log: FeatureLog) -> None:
    """Print what became of the vectors that were served."""
    from jukebox.cli.drawing import counted

    counts = log.counts
    others = {"left out by the sample": counts.left_out, "dropped": counts.dropped, "failed": counts.failed}
    others["not written yet"] = counts.waiting
    told = [f"{count:,} {what}" for what, count in others.items() if count]
    why = "" if counts.error is None else f": {counts.error}"
    into = f"{counted(counts.written, 'vector')} logged in {counted(counts.files, 'file')}"
    typer.echo(f"{', '.join([into, *told])}{why}")


def _named(texts: list[str] | tuple[()]) -> list[tuple[str, str]]:
    from jukebox.formats.columns import repeated

    pairs = [(name, uri) for name, _, uri in (text.partition("=") for text in texts)]
    wrong = next((text for text, (name, uri) in zip(texts, pairs, strict=True) if not name or not uri), None)
    if wrong is not None:
        raise InvalidValue(f"--model '{wrong}' is no model; it is written late=serving/1700000000")
    twice = repeated(name for name, _ in pairs)
    if twice:
        raise NameClash(f"--model gives '{twice[0]}' twice")
    return pairs


def _model(name: str, uri: str, *, registry: str, features_only: bool, options: dict[str, Any]) -> Model:
    from jukebox.serving.reader import FeatureReader
    from jukebox.serving.server import Model

    if features_only:
        return Model(name, FeatureReader.for_model(uri, registry, **options))
    from jukebox.serving.server.predicting import Predictor
    from jukebox.serving.server.saved_models import SavedModel, version_folder

    # Asked once: a version that is pushed meanwhile is not mixed with the features of the one before.
    folder = version_folder(uri)
    reader = FeatureReader.for_model(folder, registry, **options)
    return Model(name, reader, Predictor(SavedModel(folder), reader))
