"""How many rows of a table fit into the memory that is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

LEAST_ROWS = 2**16
# Sorting, slots and winners, beside the values themselves; texts and lists are taken to have as many bytes.
BESIDE, OPEN_WIDTH = 160, 64
SHARE = 0.4
_UNKNOWN = 2**32
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def rows_that_fit(schema: pa.Schema) -> int:
    """Return how many rows of the schema a join may hold at once, 65,536 at the least.

    Two fifths of what the machine, its control group and the process's own limits leave are used.
    """
    width = BESIDE + sum(2 * _width(column.type) for column in schema)
    return max(LEAST_ROWS, int(available() * SHARE) // width)


def available() -> int:
    """Return the bytes of memory that the process may still take, 4 GiB where nothing tells."""
    return min(_left(), default=_UNKNOWN)


def _left() -> Iterator[int]:
    told = _read("/proc/meminfo")
    for line in (told or "").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024
    for limit, used in _LIMITS:
        bound, taken = _read(limit), _read(used)
        if bound is not None and taken is not None and bound.isdigit():
            yield max(0, int(bound) - int(taken))
    yield from _process_left()


def _process_left() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # only Unix has limits of a process
        return
    for kind, used in ((resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield max(0, limit - _taken(used))


def _taken(name: str) -> int:
    lines = (_read("/proc/self/status") or "").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _width(kind: pa.DataType) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return OPEN_WIDTH
