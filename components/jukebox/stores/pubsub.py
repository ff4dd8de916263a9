"""Events from Google Cloud Pub/Sub: pulled in batches, leased, acknowledged by whoever is done with them.

``PUBSUB_EMULATOR_HOST`` leads the client library to an emulator instead of the service.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidValue, NotRegistered, StorageError, TimedOut, importing, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

with importing("google-cloud-pubsub", "pubsub"):
    from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, NotFound, RetryError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import pubsub

_NAME = r"projects/[^/]+/{}/[A-Za-z][A-Za-z0-9\-_.~+%]{{2,254}}"
_MOST_AT_ONCE = 1_000  # messages that a request may name
_SECONDS = 60.0  # for a call that is no pull


@dataclass(frozen=True)
class Message:
    """An event as it was published; ``receipt`` is what acknowledges this delivery of it, and no other."""

    id: str
    data: bytes
    published: datetime
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    receipt: str = field(default="", compare=False)


class Subscription:
    """A subscription of the name ``projects/…/subscriptions/…``; raises InvalidValue for another name."""

    def __init__(self, name: str) -> None:
        self.name = _checked(name, "subscriptions")
        with _translated(name):
            self._client: Any = pubsub.SubscriberClient()

    def pull(self, most: int, timeout: float) -> list[Message]:
        """Return messages that wait, at most ``most``, as soon as there are some; none after ``timeout`` seconds.

        Raises NotRegistered for a subscription that is not there, TimedOut and StorageError.
        """
        request = {"subscription": self.name, "max_messages": min(most, _MOST_AT_ONCE)}
        with _translated(self.name):
            try:
                answer = self._client.pull(request=request, timeout=timeout, retry=None)
            except DeadlineExceeded:
                return []
        return [_message(each) for each in answer.received_messages]

    def lease(self, messages: Sequence[Message], seconds: int) -> None:
        """Keep messages from being delivered again for ``seconds``; with 0 they are at once."""
        for receipts in _receipts(messages):
            request = {"subscription": self.name, "ack_ids": receipts, "ack_deadline_seconds": seconds}
            with _translated(self.name):
                self._client.modify_ack_deadline(request=request, timeout=_SECONDS)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Make messages done with; one whose lease has ended may be delivered again all the same."""
        for receipts in _receipts(messages):
            with _translated(self.name):
                self._client.acknowledge(request={"subscription": self.name, "ack_ids": receipts}, timeout=_SECONDS)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


class Topic:
    """A topic of the name ``projects/…/topics/…``; raises InvalidValue for another name."""

    def __init__(self, name: str) -> None:
        self.name = _checked(name, "topics")
        with _translated(name):
            self._client: Any = pubsub.PublisherClient()

    def require(self) -> None:
        """Raise NotRegistered unless the topic is there."""
        with _translated(self.name):
            self._client.get_topic(request={"topic": self.name}, timeout=_SECONDS)

    def publish(self, events: Sequence[tuple[bytes, Mapping[str, str]]]) -> None:
        """Publish data with attributes; when it returns the service has them all. Raises StorageError, TimedOut."""
        with _translated(self.name):
            sent = [self._client.publish(self.name, data, **attributes) for data, attributes in events]
            for each in sent:
                each.result(timeout=_SECONDS)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.stop()
        self._client.transport.close()


def _checked(name: str, kind: str) -> str:
    if re.fullmatch(_NAME.format(kind), name) is None:
        raise InvalidValue(f"'{name}' is none of Pub/Sub's {kind}; one is called projects/my-project/{kind}/my-name")
    return name


def _message(received: Any) -> Message:
    inner = received.message
    return Message(inner.message_id, inner.data, inner.publish_time, dict(inner.attributes), received.ack_id)


def _receipts(messages: Sequence[Message]) -> Iterator[list[str]]:
    for start in range(0, len(messages), _MOST_AT_ONCE):
        yield [message.receipt for message in messages[start : start + _MOST_AT_ONCE]]


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn what the client library raises into NotRegistered, TimedOut and StorageError."""
    try:
        yield
    except NotFound as exc:
        raise NotRegistered(f"{name} is not there: {exc.message}") from exc
    except (DeadlineExceeded, RetryError, TimeoutError) as exc:
        raise TimedOut(f"{name} did not answer in time: {reason(exc)}") from exc
    except (GoogleAPICallError, GoogleAuthError) as exc:
        raise StorageError(f"{name} cannot be used: {reason(exc)}") from exc
