"""A stream that is killed right after one of its steps, each of which is the real one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from jukebox.engine import streaming
from jukebox.engine.streaming_parts import GrowingTable
from jukebox.engine.streaming_puller import Batching, Puller
from jukebox.stores.pubsub import Subscription
from tests.engine.streaming_place import Stage

STEPS: dict[str, tuple[Any, str]] = {
    "pull": (Subscription, "lease"),
    "online": (streaming.Sink, "_write_online"),
    "offline": (GrowingTable, "append"),
    "registry": (streaming.Sink, "take"),
    "ack": (Subscription, "acknowledge"),
}


def dying(owner: Any, name: str) -> None:
    """Have the process killed as soon as a method returns for the first time."""
    real = getattr(owner, name)

    def last(*args: Any, **named: Any) -> None:
        real(*args, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, last)


if __name__ == "__main__":
    root, project, store, table, step = sys.argv[1:]
    here = Stage(Path(root), project, store, table)
    sink = streaming.Sink(here.destination)
    dying(*STEPS[step])
    Puller(Subscription(here.subscription), sink, Batching(rows=20, seconds=3, lease=10)).run(threading.Event())
