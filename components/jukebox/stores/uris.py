"""URIs of stores: what they are set to, and as they may be printed, without passwords, tokens and other options."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

_FILES = ("mlmd+sqlite", "sqlite", "file", "")
_OPTION = re.compile(r"(?P<before>[?&][^=&#]*=)[^&#]*")


def redacted(uri: str) -> str:
    """Return ``uri`` with *** for its password and for what its options are set to; paths of files have neither.

    Where a password or token is not percent-encoded nobody knows where it ends, and all of the rest is hidden.

    >>> redacted("mlmd+postgresql://ann:s3cret@db/registry")
    'mlmd+postgresql://ann:***@db/registry'
    >>> redacted("mlmd+grpc://host:8080?token=s3cret&tls=1")
    'mlmd+grpc://host:8080?token=***&tls=***'
    >>> redacted("mlmd+mysql://ann:s3/cret@db/registry")
    'mlmd+mysql://ann:***'
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme in _FILES:
        return uri
    person, at, place = rest.rpartition("@")
    user, colon, password = person.partition(":")
    if at and re.search(r"[/?#@:&]", user + password):
        return f"{scheme}://{re.split('[/?#@:&]', rest)[0]}:***"
    shown = f"{user}:***@" if colon else f"{user}{at}"
    return f"{scheme}://{shown}" + _OPTION.sub(r"\g<before>***", place)


def option(uri: str, name: str) -> str | None:
    """Return what an option of ``uri`` is set to, None where it has none.

    >>> option("bigtable://project/instance/table?cells=columns", "cells")
    'columns'
    """
    return dict(parse_qsl(uri.partition("?")[2])).get(name)
