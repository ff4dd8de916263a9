"""The loop of a stream: pull a micro-batch, write it to both layouts, and only then acknowledge it."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jukebox.engine.streaming_events import Event, published_order
from jukebox.errors import InvalidValue, JukeboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event as Flag

    from jukebox.engine.streaming import Sink
    from jukebox.stores.pubsub import Message, Subscription, Topic

_PULL_SECONDS = 1.0  # so that a stop is seen
_MOST_ATTRIBUTE_BYTES = 1_000  # the service takes 1,024


@dataclass(frozen=True)
class Batching:
    """When a micro-batch is whole: at ``rows`` messages, or ``seconds`` after its first.

    Messages are leased for ``lease`` seconds, after which they are delivered again should the process die. One that
    is refused is tried ``tries`` times, ``retry`` seconds apart, where there is no dead-letter topic. With ``idle`` the
    stream ends when so many seconds brought nothing.
    """

    rows: int = 5_000
    seconds: float = 5.0
    lease: int = 60
    tries: int = 5
    retry: int = 10
    idle: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no stream can do."""
        least = {"rows": 1, "seconds": 0, "lease": 10, "tries": 1, "retry": 0}
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise InvalidValue(f"{name} is {getattr(self, name)}; it is at least {low}")
        if self.lease > 600:  # noqa: PLR2004 - what Pub/Sub takes
            raise InvalidValue(f"lease is {self.lease} seconds; Pub/Sub takes at most 600")
        if self.idle is not None and not self.idle >= 0:
            raise InvalidValue(f"idle is {self.idle} seconds; it is at least 0")


@dataclass(frozen=True)
class Streamed:
    """What a stream did: messages pulled, rows written, deliveries of what was there already, refusals."""

    pulled: int = 0
    rows: int = 0
    repeated: int = 0
    refused: int = 0
    dead_lettered: int = 0
    batches: int = 0


class Puller:
    """A stream from a subscription to a sink."""

    def __init__(
        self,
        subscription: Subscription,
        sink: Sink,
        batching: Batching,
        *,
        dead_letter: Topic | None = None,
        told: Callable[[str], None] = lambda _: None,
        progress: Callable[[Streamed], None] = lambda _: None,
    ) -> None:
        self._subscription, self._sink, self._batching = subscription, sink, batching
        self._dead_letter, self._told, self._progress = dead_letter, told, progress
        self._tries: Counter[str] = Counter()

    def run(self, stop: Flag) -> Streamed:
        """Stream until ``stop`` is set, the batch in hand then being finished, or until nothing comes for ``idle``.

        Raises InvalidValue when a message was refused as often as allowed and there is no topic for it; it stays in
        the subscription. Raises StorageError, TimedOut and what else the stores raise.
        """
        done, last = Streamed(), time.monotonic()
        while not stop.is_set():
            messages = self._pulled(stop)
            if messages:
                done = self._taken(messages, done)
                last = time.monotonic()
                self._progress(done)
            elif self._batching.idle is not None and time.monotonic() - last >= self._batching.idle:
                break
        return done

    def _pulled(self, stop: Flag) -> list[Message]:
        found: list[Message] = []
        end = None
        while len(found) < self._batching.rows and not (found and stop.is_set()):
            now = time.monotonic()
            if end is not None and now >= end:
                break
            timeout = _PULL_SECONDS if end is None else max(min(_PULL_SECONDS, end - now), 0.05)
            some = self._subscription.pull(self._batching.rows - len(found), timeout)
            if some:
                self._subscription.lease(some, self._batching.lease)
                end = time.monotonic() + min(self._batching.seconds, self._batching.lease / 2) if end is None else end
            elif end is None:
                break
            found += some
        return found

    def _taken(self, messages: Sequence[Message], done: Streamed) -> Streamed:
        try:
            return self._take(messages, done)
        except BaseException:
            # Others need not wait for the lease to end; what is acknowledged takes no notice.
            with suppress(JukeboxError):
                self._subscription.lease(messages, 0)
            raise

    def _take(self, messages: Sequence[Message], done: Streamed) -> Streamed:
        # A lease that ends in the midst of the writes does no harm: what is delivered again is known by its id.
        self._subscription.lease(messages, self._batching.lease)
        ordered = sorted(messages, key=published_order)
        taken = self._sink.take([Event(each.id, each.data, each.published) for each in ordered])
        self._subscription.acknowledge([ordered[at] for at in taken.done])
        refused = [(ordered[at], why) for at, why in sorted(taken.refused.items())]
        done = replace(
            done,
            pulled=done.pulled + len(messages),
            rows=done.rows + taken.rows,
            repeated=done.repeated + taken.repeated,
            refused=done.refused + len(refused),
            batches=done.batches + 1,
        )
        return replace(done, dead_lettered=done.dead_lettered + self._set_aside(refused)) if refused else done

    def _set_aside(self, refused: Sequence[tuple[Message, str]]) -> int:
        for message, why in refused:
            self._told(f"message {message.id} is refused: {why}")
        messages = [message for message, _ in refused]
        if self._dead_letter is not None:
            self._dead_letter.publish([(message.data, self._reasons(message, why)) for message, why in refused])
            self._subscription.acknowledge(messages)
            return len(refused)
        self._tries.update(message.id for message in messages)
        for message, why in refused:
            if self._tries[message.id] >= self._batching.tries:
                raise InvalidValue(
                    f"message {message.id} of {self._subscription.name} was refused {self._tries[message.id]} times: "
                    f"{why}; a dead-letter topic would take it"
                )
        self._subscription.lease(messages, self._batching.retry)
        return 0

    def _reasons(self, message: Message, why: str) -> dict[str, str]:
        short = why.encode()[:_MOST_ATTRIBUTE_BYTES].decode(errors="ignore")
        about = {"jukebox_error": short, "jukebox_message_id": message.id}
        return {**message.attributes, **about, "jukebox_subscription": self._subscription.name}
