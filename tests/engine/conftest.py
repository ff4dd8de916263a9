"""The furnished place of the components, for what reads and makes artifacts on disk."""

from __future__ import annotations

from tests.components.conftest import furnished, here

__all__ = ["furnished", "here"]
