"""Processes that run programs when asked, one at a time."""

import json
import select
import signal
import subprocess
import time


class Failed(Exception):
    """A side could not answer."""


class Side:
    """A process that answers lines with lines. It stands still while others are asked: libraries'
    threads go on spinning after their work is done."""

    def __init__(self, command):
        self.command, self.process, self.buffer = command, None, b""

    def start(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, bufsize=0)
        self.buffer = b""

    def ask(self, request, limit=120.0):
        """The answer to a request, or `Failed` after a number of seconds."""
        if self.process is None:
            self.start()
        else:
            self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            answer = json.loads(self.line(limit))
        except (OSError, ValueError, Failed) as error:
            self.end()
            raise Failed(f"no answer: {error}") from error
        self.process.send_signal(signal.SIGSTOP)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def seconds(self, count):
        """How long a run takes, of some number of them."""
        return self.ask({"time": count})["ns"] * 1e-9

    def line(self, limit):
        end = time.monotonic() + limit
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(f"none in {limit:.0f} s")
            read = self.process.stdout.read(1 << 16)
            if not read:
                raise Failed("the process ended")
            self.buffer += read
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def show(seconds):
    for unit, scale in [("s", 1), ("ms", 1e3), ("µs", 1e6)]:
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
