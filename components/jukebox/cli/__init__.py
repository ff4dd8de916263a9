"""``jukebox …``: every component from the command line."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from jukebox.cli import (
    asking,
    converting,
    holding,
    loading,
    logs,
    metadata,
    online,
    proving,
    recording,
    registering,
    searching,
    serving,
    streaming,
    tracing,
)
from jukebox.cli.arguments import AsJson, Out, Registry, Text
from jukebox.cli.exits import Commands, hush
from jukebox.stores import DEFAULT_REGISTRY, place

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Machine-learning features: register them once, load them, join them point-in-time, serve them by name.",
)


app.command()(registering.plan)
app.command()(registering.register)
app.command()(registering.apply)


app.command()(loading.load_offline)

_REQUEST = (
    'Names with commas between, or JSON {"feature": "column"}; for a column also {"column", "max_age", '
    '"last_non_null", "keys"}, or a list of these for several roles.'
)


@app.command()
def prepare_training_set(
    *,
    labels: Annotated[str, typer.Option(help="A Parquet, CSV or TFRecord file, or a folder of them.")],
    label_time: Annotated[str, typer.Option(help="The column of the labels' time.")],
    features: Annotated[str, typer.Option(help=_REQUEST)],
    out: Out,
    registry: Registry = DEFAULT_REGISTRY,
    split: Annotated[str, typer.Option(help="time:0.8, hash:0.8 or hash:0.8:column,column.")] = "time:0.8",
    keys: Annotated[
        Text,
        typer.Option(
            help='JSON {"label column": "key column"} where names differ; for a key column also {"column", '
            '"identifier"}, where the labels\' ids are written in another way.'
        ),
    ] = None,
    allow_exact: Annotated[bool, typer.Option(help="Use a row exactly at the label's time.")] = True,
    as_known: Annotated[bool, typer.Option(help="Use rows only from their created time on.")] = True,
    proof: Annotated[
        str, typer.Option(help="sample or full: how many labels are searched for later knowledge.")
    ] = "sample",
) -> None:
    r"""Join features to labels, each as it was known at the label's time, into a training set with its proof.

    [dim]jukebox prepare-training-set --labels labels.parquet --label-time sched_dep \
      --features /airport/flights-weather/temp,/airport/flights-weather/humid --out training_set[/]
    """
    from jukebox import point_in_time_join
    from jukebox.cli import drawing, options, printing

    with drawing.joining() as progress:
        manifest = point_in_time_join.run(
            labels=place(labels),
            label_time=label_time,
            features=options.request(features),
            registry=options.there(registry),
            out=place(out),
            split=split,
            keys=options.json_object("--keys", keys),
            allow_exact=allow_exact,
            as_known=as_known,
            proof=proof,
            progress=progress,
        )
    printing.training_set(manifest)


app.command()(logs.log_training_set)
app.command()(logs.check_consistency)
app.command()(proving.verify)
app.command()(proving.replay)


@app.command()
def statistics(
    *,
    data: Annotated[str, typer.Argument(help="A training set or a feature table.")],
    out: Out,
    schema: Annotated[Text, typer.Option(help="A schema.pbtxt, or its folder, that the data should meet.")] = None,
    registry: Annotated[Text, typer.Option(envvar="JUKEBOX_REGISTRY", help="Record the run in this registry.")] = None,
) -> None:
    """Compute statistics, infer a schema, find anomalies, and write a page to read them on.

    [dim]jukebox statistics training_set --out statistics[/]
    """
    from jukebox import feature_statistics
    from jukebox.cli import drawing, options, printing

    hush()
    root = place(out)
    with drawing.working("computing statistics, for which TensorFlow Data Validation takes a while to start"):
        manifest = feature_statistics.run(
            data=place(data),
            out=root,
            schema_out=f"{root}/schema",
            anomalies_out=f"{root}/anomalies",
            schema=None if schema is None else place(schema),
            registry=None if registry is None else options.there(registry),
        )
    printing.manifest(manifest)


app.command()(online.load_online)
app.command()(online.unload_online)
app.command()(streaming.stream)
app.command()(serving.serve)


@app.command()
def get(
    *,
    features: Annotated[list[str], typer.Argument(help="Feature names.")],
    entity: Annotated[
        Optional[list[str]], typer.Option("--entity", "-e", help="A key, airport=JFK; once for each key.")
    ] = None,
    at: Annotated[Text, typer.Option(help="As of this time, 2013-07-01T12:00:00Z; by default now.")] = None,
    keys: Annotated[
        Text,
        typer.Option(
            help='JSON {"name": "key column"} where names differ, or {"name": {"column", "identifier"}} where ids are '
            "written in another way."
        ),
    ] = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Look features up online, by name.

    [dim]jukebox get /airport/flights-weather/temp --entity airport=JFK[/]
    """
    from jukebox.cli import options, printing
    from jukebox.serving import FeatureReader
    from jukebox.stores import open_registry

    known = open_registry(options.there(registry))
    with FeatureReader(known) as reader:
        asked = options.asked(features, options.json_object("--keys", keys), known)
        vector = reader.read(options.entity(entity or (), known, features), asked, at=options.time("--at", at))
    printing.vector(vector, as_json=as_json)


app.command()(tracing.lineage)
app.command()(searching.features)


@app.command()
def show(
    *,
    artifact: Annotated[str, typer.Argument(help="The folder of a training set, feature table, statistics…")],
    rows: Annotated[int, typer.Option(min=0, help="How many rows of it to show.")] = 10,
    columns: Annotated[Text, typer.Option(help="Only these columns, with commas between.")] = None,
) -> None:
    """Show what an artifact says of itself, with its first rows and its proof.

    [dim]jukebox show training_set --columns origin,temp[/]
    """
    from jukebox.cli import options, printing
    from jukebox.tables import Manifest

    printing.artifact(Manifest.read(place(artifact)), rows, None if columns is None else options.names(columns))


app.command()(converting.convert)


@app.command("compile")
def compile_(
    *,
    pipelines: Annotated[str, typer.Option(help="The folder of pipelines, *_tfx.py and *_kfp.py.")] = "pipelines",
    out: Annotated[str, typer.Option(help="The folder of specs.")] = "specs",
    check: Annotated[bool, typer.Option(help="Write nothing; fail if what is there is not fresh.")] = False,
) -> None:
    """Compile every component and pipeline to its Kubeflow Pipelines spec.

    [dim]jukebox compile --pipelines pipelines --out specs[/]
    """
    from jukebox import compiling
    from jukebox.cli import drawing

    hush()
    with drawing.working("compiling, for which TFX takes a while to start"):
        written = compiling.run(pipelines=pipelines, out=out, check=check)
    typer.echo(f"{drawing.counted(len(written), 'file')} {'fresh' if check else 'written'} in {out}")


@app.command()
def doctor(*, registry: Registry = DEFAULT_REGISTRY, as_json: AsJson = False) -> None:
    """Say which kernel, packages, extras and registry are there, and what to do where the kernel is not compiled.

    [dim]jukebox doctor --json[/]
    """
    from jukebox.cli import examining

    examining.show(examining.examine(registry), as_json=as_json)


app.add_typer(metadata.app, name="metadata")
app.command()(registering.deprecate)
app.command()(registering.retire)
app.command()(holding.export)
app.command("import")(holding.import_)
app.command()(recording.record_model)
app.command()(recording.record_deployment)
app.command()(asking.usage)
app.command()(asking.deployed)
app.command()(asking.compare)
app.command()(asking.rebuild)
app.command()(asking.export_lineage)


def main() -> None:
    """Run the command line."""
    app()
