"""Objects of Google Cloud Storage that are replaced only where nobody has replaced them since they were read.

pyarrow, which does all else, knows no conditions; Google's own client library does. An object has a *generation*,
another one each time it is written (https://cloud.google.com/storage/docs/request-preconditions); 0 is that of none.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jukebox.errors import StorageError, TimedOut, importing, reason
from jukebox.storage.drivers import CONNECT_SECONDS, GOOGLE_SECONDS, SILENT_SECONDS, is_anonymous, reached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jukebox.storage.remote import Remote

with importing("google-cloud-storage", "pubsub"):
    from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed, RetryError
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage import Client
    from google.cloud.storage.retry import DEFAULT_RETRY
    from requests.exceptions import RequestException

_LIMITS = (CONNECT_SECONDS, SILENT_SECONDS)
_TOO_MANY, _SERVERS_OWN = 429, 500


def read_generation(place: Remote) -> tuple[bytes, int]:
    """Return what the object holds and its generation, nothing and 0 where there is none; raises StorageError."""
    blob = _blob(place)
    with _asked(place, "read"):
        try:
            body = blob.download_as_bytes(timeout=_LIMITS, retry=DEFAULT_RETRY.with_timeout(GOOGLE_SECONDS))
        except NotFound:
            return b"", 0
    return bytes(body), int(blob.generation)


def write_if(place: Remote, body: bytes, generation: int) -> bool:
    """Make the object hold ``body`` if it still has this generation; return whether it had.

    After False nothing was written, and never will be. Raises TimedOut where that is not known, for the store was
    busy, broken or silent, and StorageError where it refuses.
    """
    blob = _blob(place)
    with _asked(place, "written"):
        try:
            # Not tried again here: after an attempt that was written and not answered, the next one would be False.
            blob.upload_from_string(
                body, "application/json", if_generation_match=generation, timeout=_LIMITS, retry=None
            )
        except PreconditionFailed:
            return False
        except NotFound as exc:
            raise StorageError(f"{place} cannot be written: the bucket does not exist") from exc
    return True


def _blob(place: Remote) -> Any:
    with _asked(place, "reached"):
        return _client(tuple(place.settings.items())).bucket(place.host).blob(place.path)


@lru_cache(maxsize=32)
def _client(settings: tuple[tuple[str, str], ...]) -> Any:
    told = dict(settings)
    server = reached(told)
    return Client(
        project=None,  # a bucket has a name of its own
        credentials=AnonymousCredentials() if is_anonymous(told) else None,
        client_options={"api_endpoint": "{scheme}://{endpoint_override}".format(**server)} if server else None,
    )


@contextmanager
def _asked(place: Remote, what: str) -> Iterator[None]:
    try:
        yield
    except GoogleAPICallError as exc:
        said = f"{place} cannot be {what}: {exc.code} {exc.message}"
        if exc.code is not None and (exc.code == _TOO_MANY or exc.code >= _SERVERS_OWN):
            raise TimedOut(said) from exc
        raise StorageError(said) from exc
    except (RetryError, RequestException) as exc:
        raise TimedOut(f"{place} cannot be {what}: {reason(exc)}") from exc
    except GoogleAuthError as exc:
        raise StorageError(f"{place} cannot be {what}: {reason(exc)}") from exc
