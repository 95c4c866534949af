"""Our binary at a terminal: what it shows there, and what is typed."""

import fcntl
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import termios
import time

SECONDS = 100
# What moves the cursor or colours what follows.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class OnTerminal:
    """A process whose controlling terminal is ours. `piped`: its standard streams are pipes, and it can still open
    /dev/tty."""

    def __init__(self, command: list[str], cwd: pathlib.Path, env: dict[str, str], piped: bool = False, columns: int = 100):
        self.terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.columns = columns
        self.piped = tuple(os.pipe()) if piped else None
        out = self.piped[1] if self.piped else end
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env | {"TERM": "xterm"},
            stdin=subprocess.DEVNULL if piped else end,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(end, termios.TIOCSCTTY, 0),
        )
        # As long as nobody has the terminal, reading from it would fail.
        self.kept = end if piped else None
        os.close(out)
        # All that came, at the terminal and through the pipes.
        self.shown = self.through_pipes = ""

    def _take(self, seconds: float) -> bool:
        """Takes what has come; whether more may come."""
        sources = [self.terminal] + ([self.piped[0]] if self.piped else [])
        for source in select.select(sources, [], [], seconds)[0]:
            try:
                came = os.read(source, 65536).decode("utf-8", "replace")
            except OSError:  # the last one that had the terminal has gone
                came = ""
            if source == self.terminal:
                self.shown += came
            else:
                self.through_pipes += came
            if not came:
                return False
        return True

    def wait_for(self, pattern: str, behind: int = 0) -> re.Match:
        """Until this stands at the terminal."""
        until = time.monotonic() + SECONDS
        while not (found := re.compile(pattern).search(self.shown, behind)):
            more = self._take(0.2)
            if time.monotonic() > until or not more:
                raise AssertionError(f"there was no {pattern!r} but:\n{self.shown}\n{self.through_pipes}")
        return found

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self) -> int:
        """Waits for its end; gives its exit code."""
        until = time.monotonic() + SECONDS
        while self._take(0.2) and time.monotonic() < until:
            pass
        try:
            code = self.process.wait(max(1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end, after:\n{self.shown}\n{self.through_pipes}") from None
        finally:
            for descriptor in (self.terminal, self.kept, *(self.piped or ())[:1]):
                if descriptor is not None:
                    os.close(descriptor)
        return code

    def left(self) -> list[str]:
        """The lines that a person sees at the end: a line that was drawn over is seen as it was last."""
        lines = []
        for line in self.shown.replace("\r\n", "\n").split("\n"):
            # `\x1b[2K` empties the line; what follows a return is written over it.
            drawn = ""
            for piece in line.split("\r"):
                piece = piece.rsplit("\x1b[2K", 1)[-1] if "\x1b[2K" in piece else piece
                drawn = CONTROL.sub("", piece) or ("" if "\x1b[2K" in line else drawn)
            lines.append(drawn.rstrip())
        return [line for line in lines if line]
