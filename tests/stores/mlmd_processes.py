"""Writers at an MLMD store that run, or are killed, as processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from datetime import datetime, timezone

from jukebox.stores import OnlineSource, Recorded, Registry
from jukebox.stores.mlmd import MlmdRegistry, open_registry
from jukebox.stores.mlmd.connection import Store
from jukebox.stores.mlmd.opening import connect
from tests.stores.mlmd_writers import feature, offline

# Forked from a process that has imported all of this and opened nothing, a writer starts in milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.stores.mlmd_processes"])


def at_once(target: object, arguments: Sequence[tuple]) -> None:
    """Run ``target`` once for each of the arguments, all at the same moment; all end well."""
    start = processes.Barrier(len(arguments))
    running = [processes.Process(target=_begun, args=(start, target, each)) for each in arguments]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * len(running)


def killed(target: object, *arguments: object) -> bool:
    """Run ``target``; return whether it was killed, and did not end before."""
    process = processes.Process(target=target, args=arguments)
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


def register_and_record(uri: str, names: list[str]) -> None:
    """Register features, where they lie offline and online, and a run."""
    work(open_registry(uri), names)


def edit(uri: str, description: str) -> None:
    """Edit one feature."""
    open_registry(uri).register([feature(description=description)])


def work_and_die(uri: str, names: list[str], last: int) -> None:
    """Do what ``work`` does, and be killed before the ``last``-th write, counted from 0."""
    work(MlmdRegistry(Mortal(connect(uri, create=True), last)), names)


def work(registry: Registry, names: list[str]) -> None:
    """Register features, where they lie offline and online, and a run that read one data set and wrote one table."""
    versioned = [each.versioned for each in registry.register([feature(name) for name in names])]
    registry.add_offline_source(offline(f"tables/{names[0]}", *versioned))
    at = datetime(2013, 1, 2, tzinfo=timezone.utc)
    registry.set_online_source(OnlineSource("sqlite://o.db", names[0], tuple(versioned), 3, "f00d", at))
    registry.record(
        "offline_load",
        reads=versioned,
        inputs=[Recorded("jukebox.DataSet", f"data/{names[0]}")],
        outputs=[Recorded("jukebox.FeatureTable", f"tables/{names[0]}")],
    )


class Mortal(Store):
    """A store whose process is killed before its ``last``-th write."""

    def __init__(self, store: Store, last: int) -> None:
        self.__dict__.update(store.__dict__)
        self._last = last

    def call(self, method: str, *args: object, **options: object) -> object:
        """Die where it is time to; else call."""
        if method.startswith("put"):
            if self._last == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._last -= 1
        return super().call(method, *args, **options)


def _begun(start: object, target: object, arguments: tuple) -> None:
    start.wait()
    target(*arguments)
