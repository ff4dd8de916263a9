"""URIs of stores as they may be printed and logged: without passwords and tokens."""

from __future__ import annotations

import re

# A password may hold anything where its writer forgot to percent-encode it: up to the last @ it is hidden.
_PASSWORD = re.compile(r"(?P<before>^[\w+.-]+://[^/:@]*):.*@")
_SECRET = re.compile(r"(?P<before>[?&](?:token|password|sslpassword)=)[^&#]*", re.IGNORECASE)


def redacted(uri: str) -> str:
    """Return ``uri`` with *** for its password and token.

    >>> redacted("mlmd+postgresql://ann:s3cret@db/registry")
    'mlmd+postgresql://ann:***@db/registry'
    >>> redacted("mlmd+grpc://host:8080?token=s3cret&tls=1")
    'mlmd+grpc://host:8080?token=***&tls=1'
    """
    return _PASSWORD.sub(r"\g<before>:***@", _SECRET.sub(r"\g<before>***", uri))
