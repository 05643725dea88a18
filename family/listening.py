"""The port of a family: bound once, by the parent, so that connections wait in one queue that outlives each of those who accept."""

import errno
import socket
import time
from contextlib import ExitStack

PATIENCE_SECONDS = 3.0  # the children of a family that was killed end within two
BACKLOG = 1024  # the kernel takes the smaller of this and its own somaxconn


class PortInUseError(Exception):
    """Its text says what to do, in both languages."""

    def __init__(self, setting: str, port: int) -> None:
        other = port + 10_000 if port < 50_000 else port - 10_000
        super().__init__(
            f"端口 {port} 已被占用：请结束占用它的程序（例如另一个 make run），或换一个端口，例如 {setting}={other}。"
            f" Port {port} is in use: end the program that holds it (another `make run`?), or choose another with {setting}={other}."
        )


def listen(setting: str, host: str, port: int) -> list[socket.socket]:
    """The sockets of a port, whose number stands in this setting. PortInUseError when it does not become free."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _sockets(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() > deadline:
                raise PortInUseError(setting, port) from None
        time.sleep(0.05)


def must_be_free(setting: str, host: str, port: int) -> None:
    """Before work is begun that a child could not go on with."""
    for each in listen(setting, host, port):
        each.close()


def _sockets(host: str, port: int) -> list[socket.socket]:
    """One for each address of the host."""
    sockets: list[socket.socket] = []
    with ExitStack() as undo:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            sockets.append(undo.enter_context(_listening(family, (address[0], port, *address[2:]))))
            port = port or sockets[0].getsockname()[1]
        undo.pop_all()
    return sockets


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what the last family left in TIME_WAIT is in nobody's way
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
