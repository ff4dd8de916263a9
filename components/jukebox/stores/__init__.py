"""The protocols of everything that has a database behind it, and the one place that opens them by URI."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from jukebox.core.lineage_nodes import LineageSource as LineageSource
from jukebox.errors import InvalidValue, NotRegistered, StorageError
from jukebox.storage import SCHEMES, Remote, place_of
from jukebox.stores.nouns import Chronicle as Chronicle
from jukebox.stores.nouns import FormerRevision as FormerRevision
from jukebox.stores.nouns import Holdings as Holdings
from jukebox.stores.nouns import OfflineSource as OfflineSource
from jukebox.stores.nouns import OnlineSource as OnlineSource
from jukebox.stores.nouns import Recorded as Recorded
from jukebox.stores.nouns import RegisteredFeature as RegisteredFeature
from jukebox.stores.uris import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType

    import pyarrow as pa

    from jukebox.core.layouts import Layout, Row
    from jukebox.features import Feature
    from jukebox.stores.searching import Index, Page, Query

DEFAULT_REGISTRY = "mlmd+sqlite://jukebox.db"

_READ_ONLY = "file://"
_MLMD = ("mlmd+sqlite", "mlmd+postgresql", "mlmd+mysql", "mlmd+grpc")
_REGISTRIES = {**dict.fromkeys(_MLMD, "jukebox.stores.mlmd"), "file": "jukebox.stores.snapshot"}
_LINEAGES = {
    **_REGISTRIES,
    "manifests": "jukebox.stores.manifests",
    "openlineage": "jukebox.stores.openlineage",
}
_IN_FILES = ("sqlite",)
_ONLINE = {"sqlite": "jukebox.stores.sqlite", "bigtable": "jukebox.stores.bigtable"}


class Registry(Protocol):
    """What is known of features: their versions, and where they lie offline and online."""

    def features(self) -> Sequence[RegisteredFeature]:
        """Return the newest version of every feature, by name."""

    def feature(self, name: str, version: int | None = None) -> RegisteredFeature:
        """Return a feature by name, its newest version by default; raises UnknownFeature."""

    def history(self, name: str) -> Sequence[FormerRevision]:
        """Return what a feature was before each of its changes, oldest first; raises UnknownFeature."""

    def versions(self, name: str) -> Sequence[RegisteredFeature]:
        """Return a feature's versions, oldest first, each as it was last; raises UnknownFeature."""

    def search(self, query: Query) -> Page:
        """Return a page of the newest versions that ``query`` asks for, by name.

        Raises NotRegistered for a model that is not recorded, or where the registry holds no lineage.
        """

    def index(self) -> Index:
        """Return the newest version of every feature as an index, as ``search`` uses it."""

    def plan(self, features: Iterable[Feature]) -> Sequence[RegisteredFeature]:
        """Return what ``register`` would return with every name forced, and write nothing."""

    def register(self, features: Iterable[Feature], *, force: Iterable[str] = ()) -> Sequence[RegisteredFeature]:
        """Make the registry hold ``features``, all or none of them; what it holds already stays as it is.

        Raises ChangeRefused for changes that its rules do not allow, as ``stores.changes`` tells them; ``force`` holds
        the names of features that some of them do not bind. Raises NameClash for a name given twice.
        """

    def set_life_cycle(
        self, names: Iterable[str], life_cycle: str, *, force: Iterable[str] = ()
    ) -> Sequence[RegisteredFeature]:
        """Make ``life_cycle`` that of the features, all or none, and leave the rest of them as it is.

        Raises UnknownFeature, InvalidValue for a life cycle that there is none, and ChangeRefused as ``register``.
        """

    def deployed_models(self, feature: str) -> Sequence[str]:
        """Return the URIs of the models that are deployed and use a feature, of any version or of one, ``…@2``."""

    def holdings(self) -> Holdings:
        """Return all that the registry holds."""

    def take_over(self, holdings: Holdings) -> int:
        """Make the registry hold ``holdings`` too, as they are; return how many features came anew.

        What it holds already just so stays. Raises ChangeRefused, before anything is written, where it holds something
        else under the same name.
        """

    def add_offline_source(self, source: OfflineSource) -> None:
        """Make ``source`` known as where its features lie for its dates."""

    def offline_sources(self, versioned: str) -> Sequence[OfflineSource]:
        """Return the offline sources of a versioned feature, the newest registration last."""

    def set_online_source(self, source: OnlineSource) -> None:
        """Make ``source`` the one that serves its features from now on."""

    def online_source(self, versioned: str) -> OnlineSource:
        """Return where a versioned feature is served; raises NotRegistered."""

    def remove_online_source(self, versioned: Iterable[str]) -> None:
        """Make versioned features known as served nowhere; raises UnknownFeature."""

    def record(
        self,
        component: str,
        *,
        reads: Iterable[str] = (),
        makes: Iterable[str] = (),
        inputs: Iterable[Recorded] = (),
        outputs: Iterable[Recorded] = (),
        made: Iterable[Recorded] = (),
        execution: str | None = None,
    ) -> None:
        """Record one run: versioned features that it ``reads`` or ``makes``, its inputs and outputs.

        ``made`` are artifacts that were made elsewhere, and whose making the run records: what is there at their URIs,
        of whatever type. ``execution`` is the orchestrator's own execution in this very store: then only the features
        and what was made elsewhere are tied to it, for it records the rest itself. Otherwise an execution of our own
        is written whole.
        """

    def end_deployment(self, model: str, endpoint: str) -> None:
        """Make the model at a URI serve at ``endpoint`` no longer; raises NotRegistered where it does not."""

    def resume_deployment(self, model: str, endpoint: str) -> bool:
        """Make a deployment that is recorded already, and may have ended, active; return whether there is one."""


@dataclass(frozen=True)
class Written:
    """What a write did: of the rows ``given``, how many changed the store, and how many a newer row had beaten.

    The rest stood in the store already, just as they were given. A store that does not read before it writes counts
    as written what it was sent, be it there already or to be beaten by a newer row when it is read.
    """

    given: int
    written: int
    older: int

    @property
    def unchanged(self) -> int:
        """How many rows the store held already."""
        return self.given - self.written - self.older


@dataclass(frozen=True)
class Versions:
    """The versions of an online table: which is served, None where none is yet, and which there are, ascending."""

    current: int | None
    held: tuple[int, ...]


def require_ascending(there: Versions, table: str, version: int | None) -> None:
    """Raise NotRegistered for a version that is not there though a higher one is: it was dropped."""
    if version is not None and version not in there.held and version < max(there.held, default=0):
        raise NotRegistered(f"online table '{table}' has no version {version} any longer; it has {there.held}")


# Rows that are done with, of how many there are.
Loaded = Callable[[int, int], None]


class OnlineStore(Protocol):
    """A store of feature rows by key; newest (event time, created time) wins whatever the order of writes.

    A table's columns, keys, times and types are those of its first write. Columns that are no key and no time are
    values; the row of a key is replaced whole. A table has versions, one of which is served: rows may be written to
    another one, which takes its place in one moment, and gives it back.
    """

    def write(
        self,
        table: str,
        rows: pa.Table,
        *,
        keys: Sequence[str],
        event_time: str | None,
        created_time: str | None = None,
        entity: str | None = None,
        version: int | None = None,
        progress: Loaded | None = None,
    ) -> Written:
        """Make the store hold the newest row of each key, of what it held and ``rows``.

        Of equal (event, created) the last in ``rows``, and the last write, wins: it is a correction. A null created
        time ranks lowest. ``event_time`` None is for static rows, of which the last write wins. ``entity`` is what
        the rows describe, by default the names of their keys. ``version`` is by default the one that is served, and
        a new table's first is; another one is served by ``serve`` alone, and is made by a write where it is higher
        than all that there are. A write that breaks off leaves part of it
        done, and the same write again completes it. Raises MissingColumn, NameClash, InvalidType for other columns or
        types than the table's, InvalidValue for a null in a key or in the event time and for what the store cannot
        hold, NotRegistered for a version that was dropped, StorageError and CorruptData.
        """

    def read(
        self, table: str, entities: Sequence[Mapping[str, Any]], *, timeout: float | None = None
    ) -> Sequence[Row | None]:
        """Return the row of each entity, a mapping that holds the key columns; None where there is none.

        Raises NotRegistered for a table that is not there, MissingColumn and InvalidType for an entity that does not
        fit its keys, TimedOut where there is no answer in ``timeout`` seconds, StorageError and CorruptData.
        """

    def read_tables(
        self, asked: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], *, timeout: float | None = None
    ) -> Sequence[Sequence[Row | None]]:
        """Return for each table and its entities what ``read`` returns, all of it read in one round."""

    def layout(self, table: str) -> Layout:
        """Return a table's columns, keys, times and types; raises NotRegistered for a table that is not there."""

    def tables(self) -> Sequence[str]:
        """Return the names of the tables that are served, in order."""

    def versions(self, table: str) -> Versions:
        """Return the versions of a table; of one that is not there none are held."""

    def serve(self, table: str, version: int) -> None:
        """Make a table's version the one that is served, in one moment; raises NotRegistered where it is not there."""

    def drop(self, table: str, version: int | None = None) -> None:
        """Take away a version of a table that is not served, or by default the table; what is not there is no error.

        Raises InvalidValue for the version that is served.
        """

    def close(self) -> None:
        """Let go of connections; the next call opens them again."""


def place(uri: str) -> str:
    """Return the path or URI of a store so that it holds from any folder, as the registry keeps it."""
    scheme, separator, path = uri.partition("://")
    if scheme in _IN_FILES and separator:
        return f"{scheme}{separator}{Path(path).absolute()}" if path else uri
    if not uri or (separator and scheme not in {"file", *SCHEMES}):
        return uri
    where = place_of(uri)
    return str(where if isinstance(where, Remote) else where.absolute())


def open_registry(uri: str, *, writes: str | None = None) -> Registry:
    """Return the registry at ``uri``; raises InvalidValue for a scheme that is not known.

    ``writes`` says what is going to write, so that a registry in a file, which is read only, refuses it at once.
    """
    if writes is not None and uri.startswith(_READ_ONLY):
        raise read_only(uri, writes)
    return cast("Registry", _module(uri, _REGISTRIES, "registry").open_registry(uri))


def is_there(uri: str) -> bool:
    """Whether opening the registry at ``uri`` would find one; a SQLite file that is not there would be made."""
    scheme, _, path = uri.partition("://")
    return scheme != "mlmd+sqlite" or not path or Path(path).exists()


def read_only(uri: str, what: str) -> StorageError:
    """Return the error for a write to a registry that takes none."""
    return StorageError(f"{uri} is a registry in a file and read only; {what} needs the registry that it came from")


def open_lineage(uri: str, *more: str) -> LineageSource:
    """Return the lineage at ``uri``, or that of several as one; raises InvalidValue for a scheme that is not known."""
    sources = [_module(each, _LINEAGES, "lineage source").open_lineage(each) for each in (uri, *more)]
    if not more:
        return cast("LineageSource", sources[0])
    from jukebox.core.lineage_merged import Merged  # with NumPy, which the command line starts without

    return Merged(*sources)


def open_online(uri: str) -> OnlineStore:
    """Return the online store at ``uri``; raises InvalidValue for a scheme that is not known."""
    return cast("OnlineStore", _module(uri, _ONLINE, "online store").open_online(uri))


def _module(uri: str, known: Mapping[str, str], what: str) -> ModuleType:
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme not in known:
        raise InvalidValue(
            f"'{redacted(uri)}' is no {what}; its URI starts with {' or '.join(f'{k}://' for k in known)}"
        )
    return importlib.import_module(known[scheme])
