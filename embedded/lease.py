"""Several processes share the embedded servers: who comes first starts them, who leaves last stops them."""

import fcntl
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, MappingProxyType, TracebackType
from typing import Self

from embedded.daemon import private_folder
from embedded.postgres import EmbeddedPostgres, start_postgres, stop_postgres
from embedded.valkey import EmbeddedValkey, start_valkey, stop_valkey

LEAVE_SIGNALS = (signal.SIGTERM, signal.SIGHUP)  # SIGINT raises KeyboardInterrupt by itself


class EmbeddedServers:
    """Context manager over both servers of `var_dir`. Raises EmbeddedServerError on entry.

    A shared flock on a users file says "in use"; the kernel drops it with the process, so a killed user blocks nobody.
    Its servers then stay until the next user attaches and leaves. `postgres_settings` hold for whoever starts it.
    """

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey

    def __init__(self, var_dir: Path, postgres_settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._var_dir = private_folder(var_dir)
        self._postgres_settings = postgres_settings
        self._users = -1
        self._handled: list[signal.Signals] = []

    @property
    def database_url(self) -> str:
        return self.postgres.app_url

    @property
    def owner_url(self) -> str:
        return self.postgres.owner_url

    @property
    def redis_url(self) -> str:
        return self.valkey.url

    def __enter__(self) -> Self:
        try:
            self._leave_through_exit()
            self._users = os.open(self._var_dir / "embedded.users", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._users, fcntl.LOCK_SH)  # waits for a last leaver that is just stopping
            self.postgres = start_postgres(self._var_dir, self._postgres_settings)
            self.valkey = start_valkey(self._var_dir)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()

    def _leave_through_exit(self) -> None:
        """By default these signals end Python without any clean-up; who has a handler already is left alone."""
        if threading.current_thread() is threading.main_thread():
            for number in LEAVE_SIGNALS:
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, _exit)
                    self._handled.append(number)

    def _leave(self) -> None:
        # A second Ctrl-C waits until the servers are down; it would leave half of them running.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *LEAVE_SIGNALS})
        try:
            self._stop_if_last()
            while self._handled:
                signal.signal(self._handled.pop(), signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _stop_if_last(self) -> None:
        if self._users == -1:
            return
        try:
            # Our shared lock is given up before the exclusive one is tried: of two that leave at once, one gets it.
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stop_valkey(self._var_dir)
            stop_postgres(self._var_dir)
        except BlockingIOError:
            pass  # others still use them, or the last one is stopping them
        finally:
            os.close(self._users)
            self._users = -1


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
