from collections.abc import Sequence
from typing import Any

Column = tuple[int, Any, Any, Any]

def decode(program: bytes, blocks: list[tuple[int, bytes]]) -> list[Column]: ...
def encode(program: bytes, columns: Sequence[Column], start: int, rows: int) -> bytes: ...
