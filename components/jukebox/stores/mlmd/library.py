"""The one place that imports ml_metadata; importing it costs 0.4 seconds and no TensorFlow."""

from __future__ import annotations

import logging

from jukebox.errors import MissingDependency

try:
    from ml_metadata import errors as status
    from ml_metadata.metadata_store.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as pb
except ImportError as exc:
    raise MissingDependency.of("ml-metadata", "mlmd") from exc

__all__ = ["MetadataStore", "pb", "status"]


def _is_news(record: logging.LogRecord) -> bool:
    # ml_metadata logs each error that it raises; two writers that meet are no news to whoever reads the terminal.
    return not (record.msg.startswith("mlmd client ") or "failed after retrying" in record.msg)


logging.getLogger("absl").addFilter(_is_news)
