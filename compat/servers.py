"""Starts and stops the servers that the suites talk to: ours and stock MLflow's.

Each server is a real process in its own temporary folder on a free port of 127.0.0.1. Waiting is bounded
everywhere, and a server that does not come up or does not stop fails the test with its log.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import requests

WENT_WELL = re.compile(r'HTTP/1.1" [24]\d\d')
START_SECONDS = {"trackway": 20, "stock": 120}
STOP_SECONDS = 30


class ServerFailed(AssertionError):
    """A server did not start, died or did not stop; the message carries the end of its log."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def clean_environment(**extra: str) -> dict[str, str]:
    """Our own environment without the settings of MLflow and Trackway that a developer may have exported."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "TRACKWAY_", "_MLFLOW_"))
    }
    kept.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    kept.update(extra)
    return kept


def trackway_binary() -> str:
    path = os.environ.get("TRACKWAY_BIN")
    if not path:
        raise ServerFailed(
            "TRACKWAY_BIN is not set: give the path of the trackway binary, or run the suites with --server=stock."
        )
    if not os.access(path, os.X_OK):
        raise ServerFailed(f"TRACKWAY_BIN names {path} which is no executable file.")
    return path


class Server:
    """One running server. `url` is where clients go, `folder` is its working directory.

    `https` is what `requests` needs to know for a server that speaks TLS: `verify`, and `cert` if it asks for one.
    """

    def __init__(
        self,
        kind: str,
        folder: pathlib.Path,
        *flags: str,
        env: dict[str, str] | None = None,
        https: dict | None = None,
        probe: str = "/health",
    ):
        self.kind = kind
        self.folder = folder
        self.flags = flags
        self.env = env or {}
        self.port = free_port()
        self.https = https or {}
        self.probe = probe
        self.url = f"{'https' if https else 'http'}://127.0.0.1:{self.port}"
        self.log_path = folder / "server.log"
        self.process: subprocess.Popen | None = None
        # The object store that its artifacts lie in, where there is one (places.py).
        self.bucket = None

    def command(self) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        if self.kind == "trackway":
            return [trackway_binary(), "server", *address, *self.flags]
        return [
            sys.executable, "-m", "mlflow", "server", *address,
            "--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db", *self.flags,
        ]  # fmt: skip

    def launch(self) -> None:
        """Starts the process without waiting until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=clean_environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self) -> "Server":
        self.launch()
        deadline = time.monotonic() + START_SECONDS[self.kind]
        while time.monotonic() < deadline:
            if (code := self.process.poll()) is not None:
                raise ServerFailed(f"The {self.kind} server ended with code {code} while starting.\n{self.log_tail()}")
            try:
                if requests.get(f"{self.url}{self.probe}", timeout=2, **self.https).status_code == 200:
                    return self
            except requests.RequestException:
                time.sleep(0.02 if self.kind == "trackway" else 0.2)
        self.kill()
        raise ServerFailed(
            f"The {self.kind} server did not answer {self.probe} within {START_SECONDS[self.kind]} s.\n{self.log_tail()}"
        )

    def stop(self) -> None:
        """Asks the server to end (SIGTERM) and holds ours to a clean exit code."""
        if self.process is None:
            return
        if (code := self.process.poll()) is not None:
            raise ServerFailed(f"The {self.kind} server had already ended with code {code}.\n{self.log_tail()}")
        if self.kind == "stock":
            # `mlflow server` is a tree of processes; they share the session that `launch` made.
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(
                f"The {self.kind} server did not stop within {STOP_SECONDS} s after SIGTERM.\n{self.log_tail()}"
            ) from None
        self._end_group()
        self.process = None
        if self.kind == "trackway":
            if code != 0:
                raise ServerFailed(f"trackway server ended with code {code} after SIGTERM.\n{self.log_tail()}")
            if "panicked at" in self.log_text():
                raise ServerFailed(f"trackway server panicked while it ran.\n{self.log_tail()}")

    def kill(self) -> None:
        """SIGKILL: what a power cut or the kernel's memory killer leaves behind."""
        if self.process is not None:
            self._end_group()
            self.process.wait(STOP_SECONDS)
            self.process = None

    def _end_group(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def log_text(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 60, since: int = 0) -> str:
        """The end of the log from the character `since` on, without stock's lines of requests that went well."""
        told = [line for line in self.log_text()[since:].splitlines() if not WENT_WELL.search(line)]
        return "\n".join(told[-lines:])

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, exception_type, *_) -> None:
        if exception_type is None:
            self.stop()
        else:
            self.kill()


# Those that run now: a failing test shows what their logs say.
RUNNING: list[Server] = []


def running(server: Server):
    """Starts a server for as long as a fixture needs it, and lets a failing test show its log."""
    RUNNING.append(server)
    try:
        with server:
            yield server
    finally:
        RUNNING.remove(server)
