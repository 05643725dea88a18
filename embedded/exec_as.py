"""Script: take another identity, maybe detach, then become the given command.

It is a process of its own because `preexec_fn` is unsafe beside threads and Python 3.11 has no `os.unshare`; it imports
the standard library only, so it runs under `python -I -S` wherever the package lies.

argv[1] is JSON: `command` [str], `folder` (becomes the working directory), `identity` "own" | "namespace" | "capability",
`uid` and `gid` (unused for "own"), `log` (a path: detach and write there; null: stay in the foreground).
With `log` it prints the pid of the detached process. It ends with 126 when the identity cannot be had or cannot reach
the folder or the binary.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

CLONE_NEWUSER = 0x10000000
PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 4
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def main() -> None:
    spec = json.loads(sys.argv[1])
    try:
        if spec["log"] is None:
            _become(spec)
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        pid = os.fork()  # the parent leaves, so init and not the user's process has to reap the server
        if pid:
            print(pid)
            return
        os.setsid()  # Ctrl-C in the terminal must not reach the server
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)  # an inherited pipe would block whoever reads its other end
        _become(spec)
    except OSError as error:
        print(f"exec_as: {error}", file=sys.stderr, flush=True)
        os._exit(126)


def _become(spec: dict[str, Any]) -> None:
    if spec["identity"] == "namespace":
        _enter_namespace(spec["uid"], spec["gid"])
    elif spec["identity"] == "capability":
        _drop_to(spec["uid"], spec["gid"])
    os.chdir(spec["folder"])
    os.execv(spec["command"][0], spec["command"])  # noqa: S606 - a shell would only stand in between


def _enter_namespace(uid: int, gid: int) -> None:
    """Look like `uid` to ourselves while files are still reached as the caller: PostgreSQL only compares the numbers it sees."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _check(_libc().unshare(CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")  # the kernel demands it before gid_map
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1", encoding="ascii")


def _drop_to(uid: int, gid: int) -> None:
    """Be `uid`, but keep the one capability that passes folders closed to it; ambient, because exec drops the others.

    The secure bit keeps capabilities over the change of uid and lets access(2), by which PostgreSQL checks that it may
    run its own binaries, count them; without the bit access(2) answers as if there were none.
    """
    libc = _libc()
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    _check(libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    os.setresuid(uid, uid, uid)
    mask = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; then their high words
    _check(libc.capset(header, sets))
    _check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
