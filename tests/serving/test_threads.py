"""Reads in threads: what a deadline counts, what a hedge leaves behind, and what a fork and a close do to them."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.errors import JukeboxError, StorageError, TimedOut
from jukebox.features import Feature, FeatureName
from jukebox.serving import FeatureReader
from jukebox.serving.feature_log import FeatureLog
from jukebox.serving.rounds import Rounds
from jukebox.serving.threads import Threads
from jukebox.stores import open_registry
from jukebox.stores.sqlite import SqliteStore
from tests.components.place import SEATS
from tests.serving.conftest import Scene
from tests.serving.logs import rows, served
from tests.serving.test_faults import ONE, PLAYS, SlowOnce, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emulators import Emulator

A = {"user": "a"}


class SlowRegistry:
    """A registry that waits until it is let go, and counts what it is asked."""

    def __init__(self, uri: str) -> None:
        self._registry, self.go, self.asked = open_registry(uri), threading.Event(), 0

    def __getattr__(self, name: str) -> Any:
        """Wait, and pass on."""
        self.asked += 1
        self.go.wait(30)
        return getattr(self._registry, name)


def test_the_deadline_of_a_first_read_holds_for_the_registry_too(scene: Scene) -> None:
    """And what the registry says too late is there for the next read."""
    registry = SlowRegistry(scene.registry)
    with FeatureReader(registry, store=scene.store, timeout=0.1) as reader:  # type: ignore[arg-type]
        with pytest.raises(TimedOut):
            reader.read(ONE, [SEATS])
        registry.go.set()
        end = time.monotonic() + 30
        while not reader._lookups and time.monotonic() < end:
            time.sleep(0.01)
        asked = registry.asked
        assert reader.read(ONE, [SEATS], timeout=30)[SEATS].value == 100
        assert registry.asked == asked


def test_a_first_read_of_a_frozen_store_ends_in_time(mortal: Emulator, tmp_path: Path, monkeypatch: Any) -> None:
    """What a table holds is asked of the store too, which has other patience of its own; so is whether it is there."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    registry, name = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db"), str(PLAYS.name)
    serve(registry, "bigtable://project/instance/first", "t", PLAYS, [1])
    with FeatureReader(registry, timeout=0.3) as reader:
        mortal.freeze()
        began = time.monotonic()
        with pytest.raises(TimedOut):
            reader.read(A, [name])
        with pytest.raises(TimedOut):
            reader.check()
        # Alone the store would have waited 20 seconds for either.
        assert time.monotonic() - began < 15
        mortal.thaw()
        assert reader.read(A, [name], timeout=20)[name].value == 1


def test_to_wait_for_a_thread_is_part_of_the_time(scene: Scene) -> None:
    """Of more reads than have threads, those that wait end in time too, and are not made afterwards."""
    store = SlowOnce(scene.place.root / "online.db", slow=32)

    async def reads() -> None:
        async with FeatureReader(scene.registry, store=store) as reader:
            reader.lookup([SEATS])
            slow = [asyncio.create_task(reader.aread(ONE, [SEATS])) for _ in range(32)]
            while store.asked < 32:  # noqa: ASYNC110 - threads count
                await asyncio.sleep(0.01)
            late = [reader.aread(ONE, [SEATS], timeout=0.1) for _ in range(50)]
            assert {type(each) for each in await asyncio.gather(*late, return_exceptions=True)} == {TimedOut}
            store.go.set()
            assert {each[SEATS].value for each in await asyncio.gather(*slow)} == {100}
            assert (await reader.aread(ONE, [SEATS]))[SEATS].value == 100

    asyncio.run(reads())
    assert store.asked == 33


def test_a_read_that_nobody_awaits_any_more_is_not_made(scene: Scene) -> None:
    """A thousand at once, the half of them cancelled: the others are answered."""
    store = SlowOnce(scene.place.root / "online.db", slow=32)

    async def reads() -> None:
        async with FeatureReader(scene.registry, store=store) as reader:
            tasks = [asyncio.create_task(reader.aread(ONE, [SEATS])) for _ in range(1_000)]
            while store.asked < 32:  # noqa: ASYNC110 - threads count
                await asyncio.sleep(0.01)
            for task in tasks[500:]:
                task.cancel()
            store.go.set()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert [each[SEATS].value for each in found[:500]] == [100] * 500  # type: ignore[index]
            assert {type(each) for each in found[500:]} == {asyncio.CancelledError}

    asyncio.run(reads())
    assert store.asked == 500


class SlowFirst(SqliteStore):
    """A store whose every first question is answered only when the second is asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked, self.second = 0, threading.Semaphore(0)

    def read_tables(self, asked: Any, *, timeout: float | None = None) -> Any:
        """Wait, or let the one that waits go, and answer."""
        self.asked += 1
        if self.asked % 2 == 1:
            self.second.acquire(timeout=30)
        else:
            self.second.release()
        return super().read_tables(asked, timeout=timeout)


def test_hedged_reads_leave_nothing_behind(scene: Scene) -> None:
    """Five hundred of them take no more threads than one, and no question waits to be asked in vain."""
    store, before = SlowFirst(scene.place.root / "online.db"), threading.active_count()
    with FeatureReader(scene.registry, store=store, hedge_after=0.001) as reader:
        for _ in range(500):
            assert reader.read(ONE, [SEATS])[SEATS].value == 100
        assert reader.hedged > 100
        assert store.asked == 500 + reader.hedged
        assert threading.active_count() - before <= 4


def test_a_question_that_has_not_begun_is_taken_back() -> None:
    """After a deadline nobody asks the store any more for what nobody waits for."""
    threads, go, asked = Threads(1, "one"), threading.Event(), []

    def call(timeout: float | None) -> None:
        asked.append(timeout)
        go.wait(30)

    rounds = Rounds(threads, hedge_after=0.01)
    with pytest.raises(TimedOut):
        rounds.all([call], 0.1)
    go.set()
    threads.within(30, lambda: None)
    assert (rounds.hedged, len(asked)) == (1, 1)
    threads.close()


def test_of_two_questions_one_may_fail() -> None:
    """The other's answer counts, whichever it is; where both fail it is an error of theirs."""
    for failing in ((1,), (2,), (1, 2)):
        threads, second, numbers = Threads(4, "some"), threading.Event(), itertools.count(1)

        def call(_: float | None, n: Any = numbers, begun: Any = second, fails: Any = failing) -> int:
            number = next(n)
            if number == 1:
                begun.wait(30)
            else:
                begun.set()
            if number in fails:
                raise StorageError(f"question {number} failed")
            # Who does not fail answers last.
            time.sleep(0.2)
            return int(number)

        rounds = Rounds(threads, hedge_after=0.01)
        if len(failing) == 1:
            assert rounds.all([call], 30) == [3 - failing[0]]
        else:
            with pytest.raises(StorageError, match="failed"):
                rounds.all([call], 30)
        threads.close()


def test_many_threads_share_a_reader(scene: Scene) -> None:
    """Each gets its own answer, the first reads among them."""
    with FeatureReader(scene.registry, hedge_after=5.0) as reader:
        found: list[tuple[int, Any]] = []

        def reads(n: int) -> None:
            tails = ["N1" if (n + k) % 2 else "XX" for k in range(20)]
            vectors = reader.read_many([{"tail": tail} for tail in tails], [SEATS])
            found.append((n, [each[SEATS].value for each in vectors]))

        threads = [threading.Thread(target=reads, args=(n,)) for n in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(found) == [(n, [100 if (n + k) % 2 else None for k in range(20)]) for n in range(50)]


def test_a_reader_that_is_closed_beside_reads_raises_its_own_errors_alone(scene: Scene) -> None:
    """Reads either are answered or say that they were closed; later ones begin anew."""
    reader, raised = FeatureReader(scene.registry, hedge_after=1.0), []
    reader.lookup([SEATS])

    def reads() -> None:
        for _ in range(50):
            try:
                reader.read(ONE, [SEATS])
            except JukeboxError:  # noqa: PERF203 - each may
                continue
            except BaseException as exc:  # noqa: BLE001 - it is what is looked for
                raised.append(exc)

    threads = [threading.Thread(target=reads, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
        reader.close()
        time.sleep(0.001)
    assert not any(thread.is_alive() for thread in threads)
    assert raised == []
    assert reader.read(ONE, [SEATS])[SEATS].value == 100
    reader.close()


def test_who_waits_for_a_thread_when_a_reader_is_closed_is_answered() -> None:
    """By the threads that there were; they end when nobody waits any more."""
    threads, go = Threads(1, "one"), threading.Event()
    first, second = threads.submit(lambda: go.wait(30)), threads.submit(lambda: 2)
    threads.close()
    assert threads.within(30, lambda: 3) == 3
    go.set()
    assert (first.result(30), second.result(30)) == (True, 2)
    threads.close()
    end = time.monotonic() + 30
    while any(thread.name.startswith("one") for thread in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(thread.name.startswith("one") for thread in threading.enumerate())


def _reads_of_all_kinds(reader: FeatureReader, names: list[str]) -> None:
    assert list(reader.read(A, names, timeout=20).to_dict().values()) == [2, 1]
    vector = asyncio.run(reader.aread(A, names, timeout=20))
    assert list(vector.to_dict().values()) == [2, 1]


@pytest.mark.parametrize("hedge_after", [None, 5.0])
def test_a_reader_that_was_used_before_a_fork_works_on_both_sides(tmp_path: Path, hedge_after: float | None) -> None:
    """Servers fork: threads are gone in the child, of several stores, of hedged reads and of asyncio."""
    registry = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    skips = Feature(FeatureName.parse("/user/p/skips"), PLAYS.endpoint, "skips", "int64")
    serve(registry, f"sqlite://{tmp_path}/one.db", "t", PLAYS, [1])
    serve(registry, f"sqlite://{tmp_path}/two.db", "t", skips, [2])
    names = [str(skips.name), str(PLAYS.name)]
    with FeatureReader(registry, hedge_after=hedge_after) as reader:
        _reads_of_all_kinds(reader, names)
        child = multiprocessing.get_context("fork").Process(target=_reads_of_all_kinds, args=(reader, names))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        _reads_of_all_kinds(reader, names)


def _counts_and_ends(log: FeatureLog) -> None:
    assert log.counts.offered == 0
    log(served({"user": 2}, request_id="child"))
    assert log.close()


def test_a_log_whose_lock_was_held_at_a_fork_is_none_of_the_childs(tmp_path: Path) -> None:
    """The thread that held it is gone there: the child counts its own, and does not wait."""
    log = FeatureLog(str(tmp_path))
    log(served({"user": 1}, request_id="parent"))
    with log._lock:
        child = multiprocessing.get_context("fork").Process(target=_counts_and_ends, args=(log,))
        child.start()
    child.join(60)
    assert child.exitcode == 0
    assert log.close()
    assert sorted(row["request_id"] for row in rows(tmp_path)) == ["child", "parent"]
