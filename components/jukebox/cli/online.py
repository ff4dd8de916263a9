"""``jukebox load-online`` and ``jukebox unload-online``: what is served, and what no longer is."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from jukebox.cli.arguments import DEFAULT_STORE, AsJson, Registry, Text
from jukebox.errors import InvalidValue
from jukebox.stores import DEFAULT_REGISTRY, place

_KEYS = (
    "A data set whose keys are the only ones to load; or, with --filter-data-endpoint, its key columns as JSON, "
    '[{"primitive_entity": …, "identifier": …, "column_name": …}].'
)


def load_online(
    *,
    features: Annotated[
        Text,
        typer.Option(help='Names with commas between, or JSON {"feature": "column"}; by default all of the table.'),
    ] = None,
    feature_table: Annotated[
        Text, typer.Option(help="Load from this feature table; by default the registry says where the features lie.")
    ] = None,
    date: Annotated[Text, typer.Option(help="Load this date alone, 2013-01-31; by default all dates.")] = None,
    start: Annotated[Text, typer.Option("--from", help="The first date of a range.")] = None,
    end: Annotated[Text, typer.Option("--to", help="The last date of a range.")] = None,
    store: Annotated[
        Text,
        typer.Option(
            envvar="JUKEBOX_STORE",
            help=f"sqlite://PATH or bigtable://PROJECT/INSTANCE/TABLE; by default {DEFAULT_STORE}.",
        ),
    ] = None,
    project: Annotated[Text, typer.Option(help="The Google Cloud project of the Bigtable instance.")] = None,
    bigtable_instance: Annotated[Text, typer.Option(help="The Bigtable instance to load into.")] = None,
    bigtable_table: Annotated[Text, typer.Option(help="The Bigtable table to load into; by default jukebox.")] = None,
    table: Annotated[Text, typer.Option(help="The online table; by default named after the endpoint.")] = None,
    filter_keys: Annotated[Text, typer.Option(help=_KEYS)] = None,
    filter_data_endpoint: Annotated[
        Text, typer.Option(help="The data endpoint that holds the only keys to load.")
    ] = None,
    filter_storage_format: Annotated[Text, typer.Option(help="Its storage format, STORAGE_FORMAT_TF_EXAMPLE.")] = None,
    uri_prefix: Annotated[Text, typer.Option(help="The folder below which that endpoint lies.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of all that the table holds, in one moment.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Load nothing: tell rows, bytes and an estimate of the cost.")
    ] = False,
    prices: Annotated[
        Text,
        typer.Option(help='Of --dry-run, as JSON {"node_hour": USD, "gib_month": USD, "rows_a_second": of a node}.'),
    ] = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    r"""Load the newest row of every key into the online store; newer rows there stay.

    [dim]jukebox load-online --features /airport/flights-weather/temp,/airport/flights-weather/humid \
      --project my-project --bigtable-instance features --bigtable-table airport[/]
    """
    from jukebox import online_load
    from jukebox.cli import drawing, options, printing
    from jukebox.engine.online_costs import prices_of

    if prices is not None and not dry_run:
        raise InvalidValue("--prices is of --dry-run, and this is a load")
    priced = prices_of(options.json_object("--prices", prices) or {})
    known = options.there(registry)
    asked: dict[str, Any] = {
        "registry": known,
        "features": None if features is None else options.request(features),
        "feature_table": None if feature_table is None else place(feature_table),
        "table": table,
        "date": date,
        "start": start,
        "end": end,
        **_filter(
            known,
            filter_keys,
            endpoint=filter_data_endpoint,
            storage=filter_storage_format,
            prefix=uri_prefix,
            day=date or end,
        ),
    }
    where = _store(store, project, bigtable_instance, bigtable_table)
    if dry_run:
        printing.estimates(where, online_load.estimate(store=where, **asked), priced, as_json=as_json)
        return
    with drawing.progress("rows loaded") as progress:
        made = online_load.run(store=where, replace=replace, progress=progress, **asked)
    printing.online_table(made, as_json=as_json)


def unload_online(
    *,
    features: Annotated[str, typer.Option(help="Names with commas between.")],
    keep: Annotated[bool, typer.Option("--keep", help="Leave the rows in the store.")] = False,
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Serve features no longer, and take their tables away, unless these serve others.

    [dim]jukebox unload-online --features /airport/flights-weather/temp[/]
    """
    from jukebox import online_load
    from jukebox.cli import drawing, options, printing

    with drawing.working("unloading"):
        was = online_load.unload(registry=options.there(registry), features=options.names(features), drop=not keep)
    for source in was:
        typer.echo(f"no longer served: {source.table} in {printing.near_store(source.store)}")


def _store(store: str | None, project: str | None, instance: str | None, table: str | None) -> str:
    given = {"--project": project, "--bigtable-instance": instance, "--bigtable-table": table}
    if all(text is None for text in given.values()):
        return place(DEFAULT_STORE if store is None else store)
    if store is not None:
        raise InvalidValue(f"--store and {next(n for n, text in given.items() if text)} both say where to load to")
    if project is None or instance is None:
        raise InvalidValue("a Bigtable table takes --project and --bigtable-instance, and perhaps --bigtable-table")
    return f"bigtable://{project}/{instance}" + ("" if table is None else f"/{table}")


def _filter(
    registry: str, keys: str | None, *, endpoint: str | None, storage: str | None, prefix: str | None, day: str | None
) -> dict[str, Any]:
    """Return what ``online_load.run`` is to be told of the only keys to load."""
    columns = _columns(keys)
    if endpoint is None:
        if columns is not None or prefix is not None:
            raise InvalidValue(
                "--filter-keys with JSON and --uri-prefix need --filter-data-endpoint, which has the keys"
            )
        return {"filter_keys": None if keys is None else place(keys), "filter_format": storage}
    if keys is not None and columns is None:
        raise InvalidValue(f"--filter-keys '{keys}' is no JSON; with --filter-data-endpoint it names the key columns")
    if prefix is None:
        raise InvalidValue("--filter-data-endpoint needs --uri-prefix, the folder below which it lies")
    from jukebox.engine.key_filters import located
    from jukebox.stores import open_registry

    path, known = located(open_registry(registry), endpoint, place(prefix), day)
    return {"filter_keys": path, "filter_columns": columns, "filter_format": storage or known}


def _columns(keys: str | None) -> Any:
    if keys is None or not keys.lstrip().startswith(("[", "{")):
        return None
    try:
        found = json.loads(keys)
    except json.JSONDecodeError as exc:
        raise InvalidValue(f"--filter-keys is no JSON: {exc}; it holds {keys}") from exc
    # One key may go without the brackets; other objects are from key column to the filter's.
    return [found] if isinstance(found, dict) and "primitive_entity" in found else found
