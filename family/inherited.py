"""What a process has from its family (family/supervisor.py), if it has one: its name, the sockets it listens on, a lifeline.

The lifeline is a socket whose other end is the parent's alone. Whatever the parent dies of, the kernel closes that end; who would
live on alone then would hold the port, and answer beside the next family with yesterday's program.
"""

import os
import signal
import socket
import threading
from contextlib import suppress

NAME, LIFELINE, SOCKETS = "FAMILY_NAME", "FAMILY_LIFELINE", "FAMILY_SOCKETS"

_lifeline: socket.socket | None = None


def name(otherwise: str) -> str:
    """What this process is called in the log."""
    return os.environ.get(NAME, otherwise)


def sockets() -> list[socket.socket]:
    """Bound and listening; none without a family. To be asked once: they are the caller's."""
    found = [socket.socket(fileno=int(number)) for number in os.environ.pop(SOCKETS, "").split()]
    for each in found:
        each.set_inheritable(False)
    return found


def end_with_the_parent(seconds: float) -> None:
    """When the parent is gone this process ends as on SIGTERM, and at the latest after so many seconds. Nothing without a family."""
    global _lifeline  # noqa: PLW0603 - a process has one parent
    if (number := os.environ.pop(LIFELINE, None)) is not None:
        _lifeline = socket.socket(fileno=int(number))
        _lifeline.set_inheritable(False)
        threading.Thread(target=_end_with, args=(_lifeline, seconds), name="lifeline", daemon=True).start()


def serves() -> None:
    """Tell the parent that this process does its work: what dies before that will hardly live the next time."""
    if _lifeline is not None:
        with suppress(OSError):
            _lifeline.send(b"+")


def _end_with(line: socket.socket, seconds: float) -> None:
    with suppress(OSError):
        while line.recv(1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(seconds)
    os._exit(1)  # a loop that hangs hears no signal, and nobody is left who would kill it
