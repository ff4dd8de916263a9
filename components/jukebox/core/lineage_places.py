"""Where an artifact lies, told in one way: the URIs of one place that different programs write."""

from __future__ import annotations

# The launcher of Kubeflow Pipelines mounts object stores here, and a component records the path that it saw.
_MOUNTS = {"/gcs/": "gs://", "/s3/": "s3://", "/minio/": "minio://"}
_LOCAL = ("file://localhost/", "file:///")


def place_of(uri: str) -> str:
    """Return the one spelling of the place at a URI; "" where it names none.

    >>> place_of("file:///data/set/"), place_of("/gcs/bucket/set")
    ('/data/set', 'gs://bucket/set')
    """
    for prefix in _LOCAL:
        if uri.startswith(prefix):
            uri = f"/{uri[len(prefix) :]}"
    for mount, scheme in _MOUNTS.items():
        if uri.startswith(mount):
            uri = f"{scheme}{uri[len(mount) :]}"
    return uri.rstrip("/")


def spellings(uri: str) -> tuple[str, ...]:
    """Return the URIs by which others may call the place at ``uri``, as given first."""
    bare = place_of(uri)
    mounted = [f"{mount}{bare[len(scheme) :]}" for mount, scheme in _MOUNTS.items() if bare.startswith(scheme)]
    local = [f"file://{bare}"] if bare.startswith("/") else []
    every = [bare, *mounted, *local]
    return tuple(dict.fromkeys([uri, *every, *(f"{each}/" for each in every)]))
