"""What several commands are asked with, as typer reads it."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_STORE = "sqlite://jukebox-online.db"

Registry = Annotated[
    str,
    typer.Option("--registry", envvar="JUKEBOX_REGISTRY", help="The registry's URI, mlmd+sqlite://PATH or a server's."),
]
Store = Annotated[str, typer.Option("--store", envvar="JUKEBOX_STORE", help="The online store's URI, sqlite://PATH.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Out = Annotated[str, typer.Option("--out", help="The folder to write to.")]
Text = str | None
