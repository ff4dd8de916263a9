"""Google's emulators of Bigtable and Pub/Sub: where they lie, and how they are started, killed and frozen."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

MISSING = (
    "no cbtemulator: install the Google Cloud SDK with its component bigtable (apt package "
    "google-cloud-cli-bigtable-emulator), or set CBTEMULATOR to its path"
)

NO_PUBSUB = (
    "no Pub/Sub emulator: install Java (apt package default-jre-headless) and the Google Cloud SDK with its component "
    "pubsub-emulator (apt package google-cloud-cli-pubsub-emulator), or set PUBSUB_EMULATOR to its path"
)


def cbtemulator() -> str | None:
    """Return the emulator's path: ``$CBTEMULATOR``, on the PATH, or in the Cloud SDK that ``gcloud`` belongs to."""
    named = os.environ.get("CBTEMULATOR") or shutil.which("cbtemulator")
    return named or _in_sdk("bigtable-emulator/cbtemulator")


def pubsub_emulator() -> str | None:
    """Return the path of Pub/Sub's: ``$PUBSUB_EMULATOR``, on the PATH, or in the Cloud SDK; None without Java too."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return None
    named = os.environ.get("PUBSUB_EMULATOR") or shutil.which("cloud-pubsub-emulator")
    return named or _in_sdk("pubsub-emulator/bin/cloud-pubsub-emulator")


def _in_sdk(name: str) -> str | None:
    gcloud = shutil.which("gcloud")
    roots = [Path(gcloud).resolve().parents[1]] if gcloud else []
    if gcloud:
        # A packaged gcloud is a script that says where its SDK is.
        told = subprocess.run(
            [gcloud, "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=False
        ).stdout.strip()
        roots.append(Path(told or "/nowhere"))
    places = [root / "platform" / name for root in roots]
    return next((str(place) for place in places if place.exists()), None)


class Emulator:
    """One emulator on a port of its own, which it keeps when it is started again; what it held is gone then."""

    def __init__(self, path: str, option: str = "-{}={}") -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        self._path, self._option = path, option
        self.start()

    @property
    def host(self) -> str:
        """What BIGTABLE_EMULATOR_HOST, or PUBSUB_EMULATOR_HOST, is set to."""
        return f"localhost:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {"host": "localhost", "port": self.port}
        command = [self._path, *(self._option.format(*each) for each in options.items())]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("localhost", self.port), timeout=1).close()
            except OSError:  # noqa: PERF203 - an attempt
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill it, as a machine dies."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it where it is: connections stay, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)
