"""The file system of a URI: its driver, and its settings from the URI's query and from the usual variables.

======== ====================================== ==============================================================
scheme   settings in the query                  variables of the environment
======== ====================================== ==============================================================
``s3``   endpoint_override, region, scheme,     AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
         anonymous                              AWS_DEFAULT_REGION, AWS_NO_SIGN_REQUEST, and the credentials
``gs``   endpoint_override, scheme, anonymous   STORAGE_EMULATOR_HOST, GS_NO_SIGN_REQUEST,
                                                GOOGLE_APPLICATION_CREDENTIALS
``hdfs`` user, replication, kerb_ticket         JAVA_HOME, HADOOP_HOME, CLASSPATH
======== ====================================== ==============================================================

A setting of the URI goes before a variable. Secrets have no place in a URI, which is recorded wherever it goes.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from jukebox.errors import InvalidValue, MissingDependency, StorageError, reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow.fs import FileSystem

SCHEMES = {
    "s3": ("endpoint_override", "region", "scheme", "anonymous"),
    "gs": ("endpoint_override", "scheme", "anonymous"),
    "hdfs": ("user", "replication", "kerb_ticket"),
}
# The AWS library tries three times; Google's, until this time is over.
CONNECT_SECONDS, SILENT_SECONDS, GOOGLE_SECONDS = 5, 30, 10
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "gs": ("STORAGE_EMULATOR_HOST",), "hdfs": ()}
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_UNSIGNED = {"s3": "AWS_NO_SIGN_REQUEST", "gs": "GS_NO_SIGN_REQUEST", "hdfs": ""}
_YES = {"1", "true", "yes"}


def file_system(scheme: str, host: str, settings: Mapping[str, str]) -> FileSystem:
    """Return the file system of a URI, the same as long as settings and variables stay as they are.

    Raises MissingDependency where its driver is not installed, InvalidValue for a setting that does not fit, and
    StorageError where it cannot be reached.
    """
    if scheme == "hdfs":
        return _opened(scheme, (("host", host), *settings.items()))
    return _opened(scheme, tuple(all_settings(scheme, settings).items()))


def all_settings(scheme: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return a URI's settings, and what the environment says of those that it has not."""
    found = {name: value for name, value in _environment(scheme).items() if value}
    return {**found, **settings}


def _environment(scheme: str) -> dict[str, str]:
    endpoint = _first(*_ENDPOINTS[scheme])
    unsigned = os.environ.get(_UNSIGNED[scheme], "")
    # An emulator knows no accounts.
    anonymous = "true" if scheme == "gs" and endpoint else unsigned
    region = {"region": _first(*_REGIONS)} if scheme == "s3" else {}
    return {"endpoint_override": endpoint, "anonymous": anonymous, **region}


def _first(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


@lru_cache(maxsize=32)
def _opened(scheme: str, settings: tuple[tuple[str, str], ...]) -> FileSystem:
    try:
        return {"s3": _s3, "gs": _gs, "hdfs": _hdfs}[scheme](dict(settings))
    except ImportError as exc:
        import pyarrow as pa

        raise MissingDependency(
            f"this pyarrow, {pa.__version__}, was built without {scheme}://; pip install pyarrow brings one with it"
        ) from exc
    except (OSError, ValueError, TypeError) as exc:
        if "libhdfs" in str(exc) or "libjvm" in str(exc):
            raise MissingDependency(
                "hdfs:// needs Java and Hadoop's libhdfs: install both, set JAVA_HOME and HADOOP_HOME, and CLASSPATH "
                f"to what `hadoop classpath --glob` prints; pyarrow said: {reason(exc)}"
            ) from exc
        raise StorageError(f"{scheme}:// cannot be opened: {reason(exc)}") from exc


def _s3(settings: dict[str, str]) -> FileSystem:
    from pyarrow.fs import S3FileSystem

    return S3FileSystem(
        **reached(settings),
        **({"region": settings["region"]} if "region" in settings else {}),
        anonymous=is_anonymous(settings),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENT_SECONDS,
    )


def _gs(settings: dict[str, str]) -> FileSystem:
    from pyarrow.fs import GcsFileSystem

    limit = timedelta(seconds=GOOGLE_SECONDS)
    return GcsFileSystem(**reached(settings), anonymous=is_anonymous(settings), retry_time_limit=limit)


def _hdfs(settings: dict[str, str]) -> FileSystem:
    from pyarrow.fs import HadoopFileSystem

    host, _, port = settings.pop("host").partition(":")
    if "replication" in settings:
        return HadoopFileSystem(
            host or "default", int(port or 0), **{**settings, "replication": int(settings["replication"])}
        )
    return HadoopFileSystem(host or "default", int(port or 0), **settings)


def reached(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the endpoint without its scheme, and that; nothing where the settings name none."""
    endpoint = settings.get("endpoint_override", "")
    scheme, separator, host = endpoint.rpartition("://")
    told = settings.get("scheme", scheme if separator else "http" if _is_near(host) else "https")
    return {"endpoint_override": host.rstrip("/"), "scheme": told} if endpoint else {}


def _is_near(host: str) -> bool:
    return host.partition(":")[0] in {"localhost", "127.0.0.1"}


def is_anonymous(settings: Mapping[str, str]) -> bool:
    """Return whether the settings ask for no account; raises InvalidValue where they say neither yes nor no."""
    text = settings.get("anonymous", "").lower()
    if text not in _YES | {"", "0", "false", "no"}:
        raise InvalidValue(f"anonymous is '{text}'; it takes true or false")
    return text in _YES
