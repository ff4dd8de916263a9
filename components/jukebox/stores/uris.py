"""URIs of stores as they may be printed and logged: without passwords, and without tokens and other options."""

from __future__ import annotations

import re

# A password may hold anything where its writer forgot to percent-encode it: up to the last @ it is hidden.
_PASSWORD = re.compile(r"(?P<before>^[\w+.-]+://[^/:@]*):.*@")
_OPTION = re.compile(r"(?P<before>[?&][^=&#]*=)[^&#]*")


def redacted(uri: str) -> str:
    """Return ``uri`` with *** for its password and for what its options are set to.

    >>> redacted("mlmd+postgresql://ann:s3cret@db/registry")
    'mlmd+postgresql://ann:***@db/registry'
    >>> redacted("mlmd+grpc://host:8080?token=s3cret&tls=1")
    'mlmd+grpc://host:8080?token=***&tls=***'
    """
    return _PASSWORD.sub(r"\g<before>:***@", _OPTION.sub(r"\g<before>***", uri))
