"""Starting a family of processes, and an end for all of them on Ctrl-C.

In development their lines come through us, each with the name of its process in front. On servers they write to our stderr
themselves: there each line is a JSON object that names its process, and a prefix would make it something else.
"""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import structlog

import logs
from bot.sms import PARAMETERS
from family import inherited
from family.listening import listen, must_be_free
from settings import ROOT, Mode, Settings

RESTART_SECONDS = 1
RESTART_SECONDS_MAX = 30  # what is mended meanwhile, a database that was away, is found within half a minute
DEATHS_MAX = 4  # of a child that has never served: what it lacks now it will lack the next time
ASK_SECONDS = 0.2
log = structlog.get_logger("family")
LINE_BYTES_MAX = 16 * 1024  # a long trace with its values
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Child:
    """`python -m app <command>` with something of its own in the environment."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    sockets: list[socket.socket] = field(default_factory=list)  # listening; children of the same port have the same ones
    gone: Callable[[str], None] = lambda _: None  # told the name when its process has ended


class Family:
    """Children that are started again when they die, until the family is told to stop."""

    def __init__(self, children: list[Child], env: dict[str, str], stop_seconds: float, mode: Mode = Mode.DEVELOPMENT) -> None:
        self._children = children
        self._env = env
        self._stop_seconds = stop_seconds
        self._mode = mode
        self._stopping = asyncio.Event()
        self._living: set[asyncio.subprocess.Process] = set()
        self._served = {child.name: asyncio.Event() for child in children}
        self.failed = False  # somebody had to be killed, or never came to life

    def interrupt(self) -> None:
        """Stop; and when asked again, tell the children again: they skip their waiting then."""
        if not self._stopping.is_set():
            self.stop()
            return
        for process in self._living:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    def stop(self) -> None:
        """Whoever comes from now on is refused and does not wait in vain: the children close theirs, and nobody holds the port."""
        self._stopping.set()
        for each in (each for child in self._children for each in child.sockets):
            each.close()

    async def live(self) -> None:
        """Until it is stopped, or until a keeper breaks: then all children end, and its error is raised."""
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        await self._stopping.wait()
        await asyncio.wait(keepers)
        for keeper in keepers:
            keeper.result()

    async def all_serve(self) -> None:
        for served in self._served.values():
            await served.wait()

    async def _keep(self, child: Child) -> None:
        deaths = 0
        try:
            while not self._stopping.is_set():
                code, served = await self._live_once(child)
                deaths = 0 if served else deaths + 1
                if not self._stopping.is_set():
                    await self._mourn(child, code, deaths)
        finally:
            self.stop()  # a family that goes on without one of its own looks well and is not

    async def _mourn(self, child: Child, code: int, deaths: int) -> None:
        """Wait before the next start, the longer the more often in a row the child died before it served."""
        if deaths >= DEATHS_MAX and not self._served[child.name].is_set():
            self._tell(child, f"ended with {code}, for the {deaths}th time before it ever served; giving up")
            self.failed = True
            self.stop()
            return
        self._tell(child, f"ended with {code}; starting it again")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(RESTART_SECONDS * 2 ** max(deaths - 1, 0), RESTART_SECONDS_MAX)):
                await self._stopping.wait()

    async def _live_once(self, child: Child) -> tuple[int, bool]:
        """(exit code, whether it has served)."""
        lifeline, theirs = socket.socketpair()
        lifeline.setblocking(False)
        with lifeline:
            with theirs:
                process = await self._start(child, theirs.fileno())
            hearing = asyncio.create_task(self._hear(child, lifeline))
            try:
                code = await self._watch(child, process)
            finally:
                await asyncio.wait((hearing,), timeout=1)  # a process that it has left behind may hold the other end
                hearing.cancel()
            return code, not hearing.cancelled() and hearing.done() and hearing.result()

    async def _hear(self, child: Child, lifeline: socket.socket) -> bool:
        """Whether the child says that it serves."""
        if await asyncio.get_running_loop().sock_recv(lifeline, 1):
            self._served[child.name].set()
            return True
        return False

    async def _start(self, child: Child, lifeline: int) -> asyncio.subprocess.Process:
        sockets = [each.fileno() for each in child.sockets if each.fileno() >= 0]
        env = {
            **self._env, **child.env, "PYTHONUNBUFFERED": "1", inherited.NAME: child.name, inherited.LIFELINE: str(lifeline),
            inherited.SOCKETS: " ".join(map(str, sockets)),
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", *child.command, cwd=ROOT, env=env, pass_fds=(lifeline, *sockets),
            stdin=asyncio.subprocess.DEVNULL,
            **({"stdout": PIPE, "stderr": STDOUT} if self._mode is Mode.DEVELOPMENT else {"stdout": sys.stderr}),
            start_new_session=True,  # the terminal's Ctrl-C comes to us alone, so that they end in order
        )

    async def _watch(self, child: Child, process: asyncio.subprocess.Process) -> int:
        # One for each child and not one for all: a child that is being started when the family stops is ended too.
        ending = asyncio.create_task(self._end(child, process))
        self._living.add(process)
        try:
            await self._log(child.name, process)
            return await process.wait()
        finally:
            self._living.discard(process)
            child.gone(child.name)
            if not self._stopping.is_set():
                ending.cancel()
            await asyncio.wait((ending,))

    async def _log(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        try:
            async for line in lines_of(process.stdout):
                say(name, line)
        except Exception:
            self.stop()
            while await process.stdout.read(CHUNK_BYTES):  # a child whose pipe is full cannot end in order
                pass
            raise

    def _tell(self, child: Child, what: str) -> None:
        if self._mode is Mode.DEVELOPMENT:
            say(child.name, what)
        else:
            log.warning(what, child=child.name)

    async def _end(self, child: Child, process: asyncio.subprocess.Process) -> None:
        await self._stopping.wait()
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(self._stop_seconds):
                await process.wait()
        except TimeoutError:
            self._tell(child, f"does not end in {self._stop_seconds:g} s and is killed")
            self.failed = True
            process.kill()


async def lines_of(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Every line. Of a very long one the beginning: StreamReader's own reading of lines breaks at one that is longer than its limit."""
    line = b""
    while chunk := await stream.read(CHUNK_BYTES):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            yield _shown(line + part)
            line = b""
        line = (line + rest)[: LINE_BYTES_MAX + 1]  # the one byte more says that it was cut
    if line:
        yield _shown(line)


def _shown(line: bytes) -> str:
    text = line[:LINE_BYTES_MAX].decode("utf-8", "replace").rstrip()
    return f"{text} …" if len(line) > LINE_BYTES_MAX else text


def say(name: str, line: str) -> None:
    print(f"{name:>9} │ {line}", flush=True)  # noqa: T201 - this is the log


def web_children(settings: Settings) -> list[Child]:
    """N web processes that accept from one queue; PortInUseError."""
    sockets = listen("PORT", settings.host, settings.port)
    # The port in its name makes it ours alone; what the last family counted is over.
    measures = settings.var_dir / "measures" / str(sockets[0].getsockname()[1])
    shutil.rmtree(measures, ignore_errors=True)
    measures.mkdir(parents=True)
    # Who wakes first would take all connections of a moment; with this libuv leaves every second one to the others.
    env = {"WEB_PROCESSES": "1", "UV_TCP_SINGLE_ACCEPT": "1", "PROMETHEUS_MULTIPROC_DIR": str(measures.resolve())}

    def gone(name: str) -> None:
        """Its counters stay in the sums; what it was doing just now, it does no more."""
        for file in measures.glob(f"gauge_live*_{name}.db"):
            file.unlink()

    return [Child(f"web-{number}", ["web"], env, sockets, gone) for number in range(1, settings.web_processes + 1)]


async def supervise(
    children: list[Child], env: dict[str, str], settings: Settings, greet: Callable[[], None] | None = None,
) -> int:
    """Until Ctrl-C or SIGTERM. 0 if all ended in order. `greet` is called once, when everybody serves and is ready."""
    if settings.mode is Mode.PRODUCTION:
        logs.configure(settings.mode, "family")
    family, loop = Family(children, env, settings.stop_seconds, settings.mode), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, family.interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup make run` outlives its terminal
        loop.add_signal_handler(signal.SIGHUP, family.interrupt)
    greeting = asyncio.create_task(_greet(family, settings.local_url, greet)) if greet else None
    try:
        await family.live()
    finally:
        if greeting:
            greeting.cancel()
    return 1 if family.failed else 0


async def _greet(family: Family, url: str, greet: Callable[[], None]) -> None:
    await family.all_serve()
    while not await asyncio.to_thread(_is_ready, urlsplit(url)):  # noqa: ASYNC110 - what we wait for is another process
        await asyncio.sleep(ASK_SECONDS)
    greet()


def _is_ready(url: SplitResult) -> bool:
    asking = http.client.HTTPConnection(url.hostname or "", url.port, timeout=5)
    try:
        asking.request("GET", "/readyz")
        return asking.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def simulated(settings: Settings) -> dict[str, str]:
    """The environment in which the platforms are the simulator's and the clock can be moved."""
    base = f"http://127.0.0.1:{settings.simulator_port}"
    return {
        "WECHAT_API_BASE_URL": f"{base}/wechat", "DINGTALK_API_BASE_URL": f"{base}/dingtalk", "DINGTALK_OAPI_BASE_URL": f"{base}/oapi",
        "SMTP_URL": f"smtp://127.0.0.1:{settings.simulator_smtp_port}", "SMTP_STARTTLS": "off",
        "SMS_API_BASE_URL": f"{base}/sms", "SMS_SECRET_ID": "simulated", "SMS_SDK_APP_ID": "1400000000",
        "SMS_TEMPLATE_IDS": json.dumps({kind: f"sms_{kind}" for kind in PARAMETERS}),
        "CLOCK_FILE": str(settings.var_dir / "clock"),
    }


def run_everything(settings: Settings) -> int:
    """`make run`: servers, schema, demo data, simulator, web and jobs; Ctrl-C ends all of them."""
    import app

    if settings.mode != "development":
        raise SystemExit("`run` is for development; servers start `web` and `jobs` by themselves.")
    Path(settings.var_dir).mkdir(parents=True, exist_ok=True)
    for name, value in simulated(settings).items():
        os.environ.setdefault(name, value)
    settings = Settings()
    must_be_free("SIMULATOR_PORT", "127.0.0.1", settings.simulator_port)
    must_be_free("SIMULATOR_SMTP_PORT", "127.0.0.1", settings.simulator_smtp_port)
    children = [Child("simulator", ["simulator"]), *web_children(settings), Child("jobs", ["jobs"])]
    say("run", "正在启动……")
    with app.servers(settings) as ready:
        asyncio.run(app.migrate(ready))
        asyncio.run(app.seed(ready))
        return asyncio.run(supervise(children, app.environment(ready), ready, lambda: _welcome(ready)))


def _welcome(settings: Settings) -> None:
    say("run", f"小程序接口  {settings.public_url}/docs")
    say("run", f"平台模拟器  http://127.0.0.1:{settings.simulator_port}/  （每部手机收到的消息；调整时间）")
    say("run", f"与机器人对话  http://127.0.0.1:{settings.simulator_port}/chat")
    say("run", "走一遍济南、郑州、苏州三本手册：另开一个终端运行 make journey；按 Ctrl-C 结束。")
