"""``jukebox metadata …``: a metadata store served to others, or made anew in the schema of today."""

from __future__ import annotations

from typing import Annotated

import typer

from jukebox.cli.arguments import Text  # noqa: TC001 - typer reads the annotations
from jukebox.stores import DEFAULT_REGISTRY

app = typer.Typer(no_args_is_help=True, help="Serve a metadata store to other machines; upgrade a store's schema.")


@app.command()
def serve(
    *,
    store: Annotated[
        str, typer.Option(envvar="JUKEBOX_REGISTRY", help="The store's URI, mlmd+sqlite://PATH or a database's.")
    ] = DEFAULT_REGISTRY,
    host: Annotated[str, typer.Option(help="The address to listen at; by default only this machine can reach it.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8080,
    tls_cert: Annotated[Text, typer.Option(help="A PEM file with the server's certificate, for TLS.")] = None,
    tls_key: Annotated[Text, typer.Option(help="A PEM file with the certificate's key.")] = None,
    tls_client_ca: Annotated[
        Text, typer.Option(help="Only clients with a certificate of this authority, a PEM file, are let in.")
    ] = None,
    token: Annotated[
        Text,
        typer.Option(envvar="JUKEBOX_METADATA_TOKEN", help="Only clients that show this token are let in."),
    ] = None,
) -> None:
    """Serve a metadata store over gRPC, as ML Metadata's own server does, until SIGTERM or Ctrl-C.

    [dim]jukebox metadata serve --store mlmd+sqlite://jukebox.db --port 8080[/]
    """
    from jukebox.stores.mlmd.server import Guard, serving, until_stopped
    from jukebox.stores.uris import redacted

    guard = Guard(tls_cert, tls_key, tls_client_ca, token)
    with serving(store, host=host, port=port, guard=guard) as address:
        open_to = "whoever can reach it" if token is None and tls_client_ca is None else "whom it knows"
        typer.echo(f"serving {redacted(store)} at mlmd+grpc://{address}, to {open_to}")
        until_stopped()
    typer.echo("stopped")


@app.command()
def upgrade(
    *,
    store: Annotated[str, typer.Argument(help="A metadata store's file, of an older schema version.")],
    out: Annotated[str, typer.Option(help="The file to make.")],
) -> None:
    """Copy a SQLite metadata store, and bring the copy to the schema version of today; the store itself stays.

    [dim]jukebox metadata upgrade old.db --out new.db[/]
    """
    from pathlib import Path

    from jukebox.stores.mlmd.files import upgrade

    upgrade(Path(store), Path(out))
    typer.echo(f"{out} is an upgraded copy of {store}")
