"""Starting a family of processes, one tidy log of all, and an end for all of them on Ctrl-C."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bot.sms import PARAMETERS
from settings import ROOT, Settings

STOP_SECONDS = 15  # web drains for ten
RESTART_SECONDS = 1


@dataclass(frozen=True)
class Child:
    """`python -m app <command>` with something of its own in the environment."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)


class Family:
    """Children that are started again when they die, until the family is told to stop."""

    def __init__(self, children: list[Child], env: dict[str, str]) -> None:
        self._children = children
        self._env = env
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup make run` outlives its terminal
            loop.add_signal_handler(signal.SIGHUP, self._stopping.set)
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        await self._stopping.wait()
        await self._end()
        await asyncio.gather(*keepers)

    async def _keep(self, child: Child) -> None:
        while not self._stopping.is_set():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "app", *child.command, cwd=ROOT, env={**self._env, **child.env, "PYTHONUNBUFFERED": "1"},
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C comes to us alone, so that they end in order
            )
            self._processes[child.name] = process
            await self._log(child.name, process)
            code = await process.wait()
            if not self._stopping.is_set():
                say(child.name, f"ended with {code}; starting it again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RESTART_SECONDS):
                        await self._stopping.wait()

    async def _log(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            say(name, line.decode("utf-8", "replace").rstrip())

    async def _end(self) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(process.wait() for process in self._processes.values()))
        except TimeoutError:
            for process in self._processes.values():
                if process.returncode is None:
                    process.kill()


def say(name: str, line: str) -> None:
    print(f"{name:>9} │ {line}", flush=True)  # noqa: T201 - this is the log


def web_children(settings: Settings) -> list[Child]:
    """N web processes on one port, each of which serves alone."""
    return [Child(f"web-{number}", ["web"], {"WEB_PROCESSES": "1"}) for number in range(1, settings.web_processes + 1)]


async def supervise(children: list[Child], env: dict[str, str]) -> int:
    await Family(children, env).live()
    return 0


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
    with app.servers(settings) as ready:
        asyncio.run(app.migrate(ready))
        asyncio.run(app.seed(ready))
        say("run", f"小程序接口  {settings.public_url}/docs")
        say("run", f"平台模拟器  http://127.0.0.1:{settings.simulator_port}/  （每部手机收到的消息；调整时间）")
        say("run", f"与机器人对话  http://127.0.0.1:{settings.simulator_port}/chat")
        say("run", "走一遍济南、郑州、苏州三本手册：另开一个终端运行 make journey；按 Ctrl-C 结束。")
        children = [Child("simulator", ["simulator"]), *web_children(settings), Child("jobs", ["jobs"])]
        return asyncio.run(supervise(children, app.environment(ready)))
