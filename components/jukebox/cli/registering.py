"""``jukebox plan``, ``register`` (``apply``), ``deprecate`` and ``retire``: what changes in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from jukebox.cli.arguments import AsJson, Registry  # noqa: TC001 - typer reads the annotations
from jukebox.stores import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jukebox.core.lineage_nodes import Node
    from jukebox.engine.planning import Planned
    from jukebox.stores.nouns import RegisteredFeature

CHANGES, REFUSED = 2, 1
SHOWN = 5  # training sets, models or tables of one feature, where a person reads

File = Annotated[str, typer.Argument(help="A features.yaml.")]
Names = Annotated[list[str], typer.Argument(help="Feature names.")]
Force = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation
    typer.Option(help="A feature whose type, keys or life cycle may change all the same; once for each."),
]


def plan(
    *, features: File, registry: Registry = DEFAULT_REGISTRY, force: Force = None, as_json: AsJson = False
) -> None:
    """Show what registering a features.yaml would change, and which training sets, models and tables that touches.

    Writes nothing. Exits with 0 where nothing would change, with 2 where something would, and with 1 where a change
    would be refused, as for any error.

    [dim]jukebox plan pipelines/flights/features.yaml[/]
    """
    from jukebox.cli.drawing import print_json
    from jukebox.engine import planning
    from jukebox.features.file import load_features

    planned = planning.plan(load_features(features), registry, force=force or ())
    if as_json:
        print_json([_plain(each) for each in planned])
    else:
        _tell(planned)
    if any(each.refused is not None for each in planned):
        raise typer.Exit(REFUSED)
    if any(each.after.change != "unchanged" for each in planned):
        raise typer.Exit(CHANGES)


def register(*, features: File, registry: Registry = DEFAULT_REGISTRY, force: Force = None) -> None:
    """Register the features of a features.yaml; what is registered already stays as it is.

    [dim]jukebox register pipelines/flights/features.yaml[/]
    """
    _register(features, registry, force or ())


def apply(*, features: File, registry: Registry = DEFAULT_REGISTRY, force: Force = None) -> None:
    """Do what `jukebox plan` shows: the same as `jukebox register`.

    [dim]jukebox apply pipelines/flights/features.yaml[/]
    """
    _register(features, registry, force or ())


def deprecate(*, names: Names, registry: Registry = DEFAULT_REGISTRY, force: Force = None) -> None:
    """Mark features as deprecated: they are still there, and no new model should use them.

    Refused while a deployed model uses one of them.

    [dim]jukebox deprecate /airport/flights-weather/temp[/]
    """
    _move(names, "deprecated", registry, force or ())


def retire(*, names: Names, registry: Registry = DEFAULT_REGISTRY, force: Force = None) -> None:
    """Mark features as retired, at the end of their life; what was in production is deprecated first.

    Refused while a deployed model uses one of them.

    [dim]jukebox retire /airport/flights-weather/temp[/]
    """
    _move(names, "retired", registry, force or ())


def _register(features: str, registry: str, force: Sequence[str]) -> None:
    from jukebox import register_features
    from jukebox.cli import printing

    printing.feature_set(register_features.run(features=features, registry=registry, force=force))


def _move(names: Sequence[str], life_cycle: str, registry: str, force: Sequence[str]) -> None:
    from jukebox.cli.drawing import counted, table
    from jukebox.cli.options import there
    from jukebox.stores import open_registry

    known = open_registry(there(registry), writes=f"a feature that becomes {life_cycle}")
    moved = known.set_life_cycle(names, life_cycle, force=force)
    rows = [(each.name.short, each.version, each.change) for each in moved]
    table(f"{counted(len(rows), 'feature')} {life_cycle}", ["feature", "version", "change"], rows)
    typer.echo(f"say so in their features.yaml too (life_cycle: {life_cycle}), or its next registration is refused")


def _tell(planned: Sequence[Planned]) -> None:
    from collections import Counter

    from jukebox.cli.drawing import counted

    counts = Counter(each.after.change for each in planned)
    refused = sum(each.refused is not None for each in planned)
    told = ", ".join(
        [*(f"{count} {change}" for change, count in counts.items()), *[f"{refused} refused"] * bool(refused)]
    )
    typer.echo(f"{counted(len(planned), 'feature')}: {told}")
    for each in planned:
        if each.after.change != "unchanged":
            for line in _lines(each):
                typer.echo(line)


def _lines(planned: Planned) -> Iterator[str]:
    from jukebox.cli.printing import near

    yield f"{planned.after.name.short}: {_change(planned.before, planned.after)}"
    for difference in planned.differences:
        yield f"  {difference.field}: {_shown(difference.before)} → {_shown(difference.after)}"
    if planned.refused is not None:
        yield f"  refused: {planned.refused}"
    if planned.uses is None:
        yield "  what was made of it is not known: the registry is a file, and holds no lineage"
        return
    for what, nodes in _used(planned).items():
        names = [near(node.uri) for node in nodes[:SHOWN]]
        more = [f"{len(nodes) - SHOWN:,} more"] if len(nodes) > SHOWN else []
        if names:
            yield f"  {what}: {', '.join([*names, *more])}"


def _change(before: RegisteredFeature | None, after: RegisteredFeature) -> str:
    if before is None or before.version == after.version:
        return after.change
    return f"{after.change}, {before.version} → {after.version}"


def _used(planned: Planned) -> dict[str, Sequence[Node]]:
    uses = planned.uses
    if uses is None:
        return {}
    return {
        "training sets": uses.training_sets,
        "models": uses.models,
        "deployed models": uses.deployed,
        "online tables": uses.online_tables,
    }


def _plain(planned: Planned) -> dict[str, Any]:
    return {
        "name": str(planned.after.name),
        "change": planned.after.change,
        "version": planned.after.version,
        "version_before": None if planned.before is None else planned.before.version,
        "differences": [difference._asdict() for difference in planned.differences],
        "refused": planned.refused,
        "uses": None
        if planned.uses is None
        else {what.replace(" ", "_"): [node.uri for node in nodes] for what, nodes in _used(planned).items()},
    }


def _shown(value: Any) -> str:
    from jukebox.cli.drawing import as_text

    return as_text(value)
