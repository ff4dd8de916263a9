"""``jukebox export`` and ``import``: a registry as one YAML file, from there into another registry."""

from __future__ import annotations

from typing import Annotated

import typer

from jukebox.cli.arguments import Registry, Text  # noqa: TC001 - typer reads the annotations
from jukebox.stores import DEFAULT_REGISTRY


def export(
    *,
    out: Annotated[Text, typer.Option(help="The file to write; by default the terminal.")] = None,
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Write the whole registry as YAML: features, versions, history, endpoints and sources, but no lineage.

    The file is a registry itself, read only and without ml-metadata: --registry file://registry.yaml.

    [dim]jukebox export --out registry.yaml[/]
    """
    from jukebox.cli.drawing import counted
    from jukebox.cli.options import there
    from jukebox.stores import open_registry
    from jukebox.stores.writing import to_yaml
    from jukebox.tables import write_text

    holdings = open_registry(there(registry)).holdings()
    text = to_yaml(holdings)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_text(out, text)
    typer.echo(f"{counted(len(holdings.features), 'feature')} written to {out}")


def import_(
    *,
    file: Annotated[str, typer.Argument(help="A file that jukebox export wrote.")],
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Take what an exported file holds over into a registry, with versions and history as they are.

    What the registry holds already just so stays, and so does what the file does not speak of. Where it holds something
    else under the same name nothing is imported.

    [dim]jukebox import registry.yaml --registry mlmd+sqlite://other.db[/]
    """
    from jukebox.cli.drawing import counted
    from jukebox.features.documents import text_of
    from jukebox.stores import open_registry
    from jukebox.stores.reading import from_yaml

    holdings = from_yaml(text_of(file), file)
    new = open_registry(registry, writes="import").take_over(holdings)
    same = len(holdings.features) - new
    typer.echo(f"{counted(new, 'feature')} imported{f', {same:,} there already' if same else ''}")
