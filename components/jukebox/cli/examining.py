"""What this machine has: kernel, codecs, cores, versions, extras, registry; no package is imported for its version."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import typer

from jukebox.cli.drawing import print_json, table
from jukebox.cli.options import there
from jukebox.cli.printing import near_store
from jukebox.core import kernel
from jukebox.errors import JukeboxError
from jukebox.formats import avro, codec
from jukebox.stores.uris import redacted
from jukebox.tables import code_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

# TFX brings these, and each release of it fits few of theirs.
BY_TFX = ("protobuf", "tensorflow", "tensorflow-data-validation", "tensorflow-transform", "tfx-bsl")
UNSET = "unset it for the compiled kernel"
BUILD = (
    "for the compiled one install a C compiler and Python's headers (apt-get install gcc libc6-dev python3-dev) "
    "and then Jukebox again"
)
_REQUIRED = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[^]]*)\])?[^;]*(;.*extra == ['\"](?P<extra>[\w.-]+)['\"])?")


@dataclass(frozen=True)
class Kernel:
    """Which loops run, the join's or those of a format: ``compiled`` or ``numpy``, why, and how to have the first."""

    name: str
    why: str
    advice: str | None


@dataclass(frozen=True)
class Examined:
    """What was found; ``cores`` are those that this process may use.

    A package that is not installed has no version. ``extras`` holds what of each extra is not installed, and an extra
    of which nothing is missing is available; ``registry_fault`` is None where the registry is there.
    """

    kernel: Kernel
    codec: Kernel
    avro: Kernel
    cores: int
    python: str
    platform: str
    jukebox: str
    registry: str
    registry_fault: str | None
    packages: Mapping[str, str | None]
    extras: Mapping[str, tuple[str, ...]]


def examine(registry: str) -> Examined:
    """Return what this machine has, and whether there is a registry at ``registry``; changes nothing."""
    extras = {extra: required(extra) for extra in metadata.metadata("jukebox").get_all("Provides-Extra") or ()}
    packages = {name: _version(name) for name in sorted({*required(None), *BY_TFX}.union(*extras.values()))}
    return Examined(
        kernel=Kernel(kernel.NAME, kernel.WHY, _advice(kernel.NAME)),
        codec=Kernel(codec.NAME, codec.WHY, _advice(codec.NAME)),
        avro=Kernel(avro.CODER, avro.WHY, _advice(avro.NAME)),
        cores=kernel.processors(),
        python=platform.python_version(),
        platform=platform.platform(),
        jukebox=code_fingerprint(),
        registry=redacted(registry),
        registry_fault=_fault(registry),
        packages=packages,
        extras={extra: tuple(sorted(n for n in names if packages[n] is None)) for extra, names in extras.items()},
    )


def required(extra: str | None) -> set[str]:
    """Return the packages that an extra of Jukebox asks for, those of the extras within it too; None: always."""
    found = set()
    for match in map(_REQUIRED.match, metadata.requires("jukebox") or ()):
        if match is None or match["extra"] != extra:
            continue
        if match["name"] == "jukebox":
            found |= {name for inner in match["extras"].split(",") for name in required(inner.strip())}
        else:
            found.add(match["name"].lower())
    return found


def show(found: Examined, *, as_json: bool) -> None:
    """Print what was found: a line for each thing, and a table of the packages."""
    if as_json:
        print_json(asdict(found))
        return
    fault = "" if found.registry_fault is None else f" is not there: {found.registry_fault}"
    for what, told in (
        ("kernel", _chosen(found.kernel)),
        ("codec", _chosen(found.codec)),
        ("avro", _chosen(found.avro)),
        ("cores", found.cores),
        ("python", f"{found.python} on {found.platform}"),
        ("jukebox", found.jukebox),
        ("registry", f"{near_store(found.registry)}{fault}"),
        ("extras", "; ".join(_told(extra, missing) for extra, missing in found.extras.items())),
    ):
        typer.echo(f"{what:<10}{told}")
    table("", ["package", "version"], [*found.packages.items()])


def _told(extra: str, missing: tuple[str, ...]) -> str:
    return f"{extra} without {', '.join(missing)}" if missing else extra


def _chosen(kernel: Kernel) -> str:
    return f"{kernel.name}: {kernel.why}" + ("" if kernel.advice is None else f"; {kernel.advice}")


def _advice(name: str) -> str | None:
    if name == "compiled":
        return None
    return UNSET if os.environ.get("JUKEBOX_KERNEL") == name else BUILD


def _fault(registry: str) -> str | None:
    try:
        there(registry)
    except JukeboxError as exc:
        return str(exc)
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
