"""An open MLMD store, whatever is behind it: bounded waiting, lost connections opened again, errors that name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from jukebox.errors import StorageError
from jukebox.stores.mlmd.library import MetadataStore, status
from jukebox.stores.mlmd.patience import patience, patiently
from jukebox.stores.mlmd.statuses import first_line, meant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    T = TypeVar("T")

CLASHES = 100
_PASSED_ON = (status.AlreadyExistsError, status.NotFoundError)
_BY_NAME = frozenset(f"get_{node}_by_type_and_name" for node in ("artifact", "execution", "context"))


class Store:
    """An MLMD store; a call on it waits for other writers, and for a server that was there and is to come back.

    It waits as long as ``patience()``, and then raises StorageError; at once for a write that broke off.
    ``where`` names the store in errors, without a secret; ``opening`` returns a MetadataStore, at first and again
    after a connection was lost. ``file`` is the SQLite file that holds it, None for a server.
    """

    def __init__(self, where: str, opening: Callable[[], MetadataStore], file: Path | None = None) -> None:
        self.where, self.hint, self.file, self._opening = where, "", file, opening
        self._raw: MetadataStore | None = opening()

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Return what the MetadataStore's ``method`` returns; AlreadyExists and NotFound are passed on."""
        try:
            found = patiently(
                lambda: self.once(lambda raw: getattr(raw, method)(*args, **options)),
                lambda exc: _may_be_tried_again(exc, method),
            )
        except _PASSED_ON:
            raise
        except status.StatusError as exc:
            raise self._error(method, exc) from exc
        return self._exactly(method, args, found)

    def once(self, use: Callable[[MetadataStore], T]) -> T:
        """Return what ``use`` returns; raises MLMD's errors, as ``meant``. A lost connection is opened by the next."""
        if self._raw is None:
            self._raw = self._opening()
        try:
            return use(self._raw)
        except status.StatusError as exc:
            error = meant(exc)
            if isinstance(error, status.UnavailableError):
                self._raw = None
            raise error from exc

    def unmet(self, attempt: Callable[[], T]) -> T:
        """Return what ``attempt`` returns, tried again as long as another writer makes first what it makes.

        Each time means that the other got on; after CLASHES times raises StorageError.
        """
        for _ in range(CLASHES):
            try:
                return attempt()
            except status.AlreadyExistsError:  # noqa: PERF203 - it is what the loop is for
                continue
        raise StorageError(f"{self.where} is being changed by others: {CLASHES} attempts met their changes{self.hint}")

    def _exactly(self, method: str, args: tuple[Any, ...], found: Any) -> Any:
        # MySQL's usual collations take names that differ in case or in a trailing space for one.
        if method == "get_artifacts_by_uri":
            return [artifact for artifact in found if artifact.uri == args[0]]
        if method in _BY_NAME and found is not None and found.name != args[1]:
            raise StorageError(f"{self.where} takes '{args[1]}' for '{found.name}'{self.hint}")
        return found

    def _error(self, method: str, exc: status.StatusError) -> StorageError:
        said = first_line(exc)
        if isinstance(exc, status.AbortedError):
            return StorageError(f"{self.where} has been locked by another process for {patience():g} seconds")
        if isinstance(exc, status.DeadlineExceededError):
            return StorageError(f"{self.where} did not answer {method} within {patience():g} seconds")
        if isinstance(exc, status.UnavailableError):
            return StorageError(f"{self.where} was lost during {method}, which it may have done: {said}")
        return StorageError(f"{self.where} refused {method}: {said}")


def _may_be_tried_again(error: Exception, method: str) -> bool:
    if isinstance(error, status.UnavailableError):
        # Whether a write that broke off was done is not known, unless it was never sent.
        return method.startswith("get_") or "failed to connect" in error.message
    return isinstance(error, status.AbortedError)
