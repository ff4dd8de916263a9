"""A bucket of its own for every test, on each of the object stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.storage.servers import CREDENTIALS, gs_server, new_bucket, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Return the address of an S3 server."""
    with s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def gs() -> Iterator[str]:
    """Return the address of a Google Cloud Storage server."""
    with gs_server() as address:
        yield address


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URI of an empty bucket, which the variables of the environment lead to."""
    scheme = request.param
    address = request.getfixturevalue(scheme)
    if scheme == "s3":
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1"}.items():
            monkeypatch.setenv(name, value)
    else:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    return new_bucket(scheme, address)
