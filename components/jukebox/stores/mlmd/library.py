"""The one place that imports ml_metadata; importing it costs 0.4 seconds and no TensorFlow."""

from __future__ import annotations

import logging
import os

from jukebox.errors import MissingDependency

# Its C++ logs what it also raises, and every connection that it opens; these are read once, as it is loaded.
os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
try:
    from ml_metadata import errors as status
    from ml_metadata.metadata_store.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as pb
    from ml_metadata.proto import metadata_store_service_pb2 as service_pb
except ImportError as exc:
    raise MissingDependency.of("ml-metadata", "mlmd") from exc

__all__ = ["MetadataStore", "pb", "service_pb", "status"]


def _is_news(record: logging.LogRecord) -> bool:
    # ml_metadata logs each error that it raises; two writers that meet are no news to whoever reads the terminal.
    return not (record.msg.startswith("mlmd client ") or "failed after retrying" in record.msg)


logging.getLogger("absl").addFilter(_is_news)
