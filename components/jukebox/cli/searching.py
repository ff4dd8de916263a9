"""``jukebox features``: search the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from jukebox.cli.arguments import AsJson, Registry, Text  # noqa: TC001 - typer reads the annotations
from jukebox.stores import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from jukebox.stores import Registry as Known
    from jukebox.stores.nouns import RegisteredFeature
    from jukebox.stores.searching import Page, Query


def features(
    *,
    text: Annotated[
        Text, typer.Argument(help="Only features whose name, description or tags hold each of these words.")
    ] = None,
    entity: Annotated[Text, typer.Option(help="Only features of this entity.")] = None,
    family: Annotated[Text, typer.Option(help="Only those of this family, /airport/temp, whoever makes them.")] = None,
    endpoint: Annotated[Text, typer.Option(help="Only those of this data endpoint.")] = None,
    owner: Annotated[Text, typer.Option(help="Only those of this owner.")] = None,
    tag: Annotated[Text, typer.Option(help="Only those with this tag.")] = None,
    life_cycle: Annotated[
        Text, typer.Option(help="Only those that are experimental, production, deprecated, retired or undefined.")
    ] = None,
    scope: Annotated[Text, typer.Option(help="Only those of scope team, broad or undefined.")] = None,
    data_type: Annotated[Text, typer.Option(help="Only those of this data type.")] = None,
    online: Annotated[
        Optional[bool],  # noqa: UP045 - typer reads the annotation
        typer.Option(help="Only those that are served online, or only those that are not."),
    ] = None,
    model: Annotated[Text, typer.Option(help="Only those that went into the model at this URI.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many to list; by default all.")] = None,
    after: Annotated[Text, typer.Option(help="List on from this name, the last of the page before.")] = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """List the registered features that all of the given hold for.

    [dim]jukebox features weather --owner nyc-weather --life-cycle production[/]
    """
    from jukebox.cli.options import there
    from jukebox.stores import open_registry
    from jukebox.stores.searching import Query

    query = Query(text, entity, family, endpoint, owner, tag, life_cycle, scope, data_type, online, model, limit, after)
    known = open_registry(there(registry))
    _show(known, query, known.search(query), as_json=as_json)


def _show(known: Known, query: Query, page: Page, *, as_json: bool) -> None:
    from jukebox.cli.drawing import counted, print_json, table

    if as_json:
        print_json([{**f.feature.to_json(), "version": f.version, "revision": f.revision} for f in page.features])
    elif page.features:
        columns = ["feature", "version", "type", "max age", "description", "owner", "life cycle"]
        shown, total = len(page.features), counted(page.total, "feature")
        title = total if shown == page.total else f"{shown:,} of {total}"
        table(title, columns, [_listed(feature) for feature in page.features])
        if page.after is not None:
            typer.echo(f"the next page: --after {page.after}")
    else:
        _tell_of_none(known, query, page)


def _tell_of_none(known: Known, query: Query, page: Page) -> None:
    from jukebox.cli.drawing import counted

    everything = len(known.features())
    if page.total:
        typer.echo(f"0 of {counted(page.total, 'feature')} come after {query.after}")
    elif not everything:
        typer.echo("0 features; jukebox register makes those of a features.yaml known")
    elif query.text is not None and query == type(query)(text=query.text):
        typer.echo(f"0 of {counted(everything, 'feature')} hold '{query.text}' in name, description or tags")
    else:
        why = "; ".join(known.index().nearest(query))
        typer.echo(f"0 of {counted(everything, 'feature')} match{f': {why}' if why else ''}")


def _listed(of: RegisteredFeature) -> tuple[object, ...]:
    from jukebox.features import format_duration

    feature = of.feature
    age = None if feature.max_age is None else format_duration(feature.max_age)
    about = (feature.description, feature.owner, feature.life_cycle)
    return of.name.short, of.version, feature.data_type, age, *about
