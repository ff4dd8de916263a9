"""Every error that Jukebox raises on purpose, each also one of Python's own kinds.

::

    JukeboxError
    ├── InvalidFile (ValueError)          a YAML file with faults, all of them listed with their lines
    ├── InvalidValue (ValueError)         a value outside what a parameter or column may hold
    ├── InvalidType (TypeError)           a type that does not fit, or two that do not meet
    ├── MissingColumn (LookupError)       a named column is not there
    ├── NameClash (ValueError)            one name for two things
    ├── UnknownFeature (LookupError)      a feature name that the registry does not hold
    ├── NotRegistered (LookupError)       anything else that the registry does not hold
    ├── ChangeRefused (ValueError)        changes that the registry's rules do not allow, all of them listed
    ├── NoPartition (LookupError)         no data for a date
    ├── CorruptData (ValueError)          bytes that are not what their name says
    ├── SourceChanged (ValueError)        what something was made of is gone, or is no longer the same
    ├── NotReproduced (ValueError)        something is not what its sources and rules give
    │   ├── LeakFound                     it holds what was not known at the label's time
    │   └── SkewFound                     what was served is not what training would have had
    ├── StorageError (OSError)            a folder or store that cannot be read or written
    │   └── TimedOut (TimeoutError)       it did not answer in the time that it was given
    ├── JobFailed (RuntimeError)          work given to a runner that it did not finish
    └── MissingDependency (ImportError)   a library that an extra of the package brings
"""

from __future__ import annotations

import difflib
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class JukeboxError(Exception):
    """The root: what a caller catches to catch all of them."""


class InvalidFile(JukeboxError, ValueError):
    """A file breaks its format; ``faults`` holds one line of text for each fault."""

    def __init__(self, path: str, faults: Sequence[str]) -> None:
        self.path, self.faults = path, tuple(faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{path} has {count}:", *(f"  {fault}" for fault in faults)]))


class InvalidValue(JukeboxError, ValueError):
    """A value lies outside what its parameter or column may hold."""


class InvalidType(JukeboxError, TypeError):
    """A value or column has a type that does not fit."""


class MissingColumn(JukeboxError, LookupError):
    """A column is asked for by name and is not there."""


class NameClash(JukeboxError, ValueError):
    """One name would stand for two things."""


class UnknownFeature(JukeboxError, LookupError):
    """A feature name is not registered; the message offers the nearest names."""

    @classmethod
    def named(cls, name: str, known: Iterable[str]) -> UnknownFeature:
        """Return the error for ``name``, with up to three of the ``known`` names that look like it."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}" if near else f"{len(names)} features are registered"
        return cls(f"feature '{name}' is not registered; {hint}")

    @classmethod
    def version(cls, name: str, version: int, newest: int) -> UnknownFeature:
        """Return the error for a version that a feature has not."""
        return cls(f"'{name}' has no version {version}; the newest is {newest}")


class NotRegistered(JukeboxError, LookupError):
    """The registry does not hold what was asked of it."""


class ChangeRefused(JukeboxError, ValueError):
    """A registry's rules do not allow what is asked; ``reasons`` holds one line of text for each change."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        lines = [f"{len(reasons)} changes are refused, and nothing is written:", *(f"  {each}" for each in reasons)]
        super().__init__(reasons[0] if len(reasons) == 1 else "\n".join(lines))


class NoPartition(JukeboxError, LookupError):
    """A date or range of dates has no data."""


class CorruptData(JukeboxError, ValueError):
    """A file's bytes are not what its format says."""


class SourceChanged(JukeboxError, ValueError):
    """What something was made of is gone or holds something else; ``sources`` names all that changed."""

    def __init__(self, message: str, sources: Sequence[str] = ()) -> None:
        self.sources = tuple(sources)
        super().__init__(message)


class NotReproduced(JukeboxError, ValueError):
    """Something is not what its sources and rules give."""


class LeakFound(NotReproduced):
    """A training set holds what was not known at the label's time."""


class SkewFound(NotReproduced):
    """What was served, or is served, is not what training would have had."""


class StorageError(JukeboxError, OSError):
    """A folder, file or store cannot be read or written."""


class TimedOut(StorageError, TimeoutError):
    """A store did not answer in the time that it was given."""


class JobFailed(JukeboxError, RuntimeError):
    """A runner, or one of its workers, gave up; the message says what it said."""


class MissingDependency(JukeboxError, ImportError):
    """A library is missing; the message names the extra that brings it."""

    @classmethod
    def of(cls, what: str, extra: str) -> MissingDependency:
        """Return the error for ``what``, which ``pip install 'jukebox[extra]'`` brings."""
        return cls(f"{what} is not installed; pip install 'jukebox[{extra}]' brings it")


@contextmanager
def importing(what: str, extra: str) -> Iterator[None]:
    """Raise MissingDependency where a module of ``what`` is not there; it is imported without a word.

    Google's libraries warn of every Python that is near its end.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    except ImportError as exc:
        raise MissingDependency.of(what, extra) from exc


def reason(exc: BaseException) -> str:
    """Return what an error says, on one line, without its number and full stop."""
    if isinstance(exc, OSError) and exc.strerror is not None:
        return exc.strerror.lower()
    lines = str(exc).splitlines()
    return lines[0].strip().rstrip(".") if lines else type(exc).__name__
