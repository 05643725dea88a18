"""`python -m app simulator`: the platforms' stand-in, with our templates, pages and the demonstration's phones."""

import asyncio
import contextlib
import signal

from bot.links import PUBLISHED_PAGES
from bot.templates import simulator_templates
from settings import Settings
from simulator import serve as serve_simulator


async def serve(settings: Settings) -> None:
    """Serve on loopback until SIGTERM or SIGINT."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serve_simulator(
            "127.0.0.1", settings.simulator_port,
            clock_file=settings.clock_file or settings.var_dir / "clock",
            wechat_appid=settings.wechat_appid, wechat_secret=settings.wechat_secret.get_secret_value(),
            dingtalk_appkey=settings.dingtalk_appkey, dingtalk_appsecret=settings.dingtalk_appsecret.get_secret_value(),
            agent_id=settings.dingtalk_agent_id, templates=simulator_templates(), pages=PUBLISHED_PAGES,
            links=[("小程序接口文档", f"{settings.public_url}/docs")],
        )
