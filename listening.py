"""The port of a family: bound once, by the parent, so that connections wait in one queue that outlives each of those who accept."""

import socket
from contextlib import ExitStack

BACKLOG = 1024  # the kernel takes the smaller of this and its own somaxconn


def listen(host: str, port: int) -> list[socket.socket]:
    """One socket for each address of the host; OSError if somebody listens there already."""
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
