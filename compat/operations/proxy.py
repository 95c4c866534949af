"""HAProxy with a configuration of the test's own, as an operator would write it."""

import pathlib
import shutil
import socket
import subprocess
import time

from servers import ServerFailed


class Haproxy:
    def __init__(self, folder: pathlib.Path, config: str, port: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port
        self.config = folder / "haproxy.cfg"
        self.config.write_text(config)
        self.log_path = folder / "haproxy.log"
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Haproxy":
        program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") or shutil.which("haproxy")
        if program is None:
            raise ServerFailed("haproxy is missing; run `cargo xtask services install haproxy`")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-db", "-f", str(self.config)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.__exit__(None)
        raise ServerFailed(f"HAProxy did not start:\n{self.log_path.read_text(errors='replace')[-3000:]}")

    def __exit__(self, *_) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None
