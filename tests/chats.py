"""A world in which people talk: the application and the platforms' stand-in over sockets, and a worker that works when it is told."""

import asyncio
import json
import struct
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer, unused_port
from pydantic import SecretStr

from bot.assembly import make_worker, mount
from bot.gateways import Gateways, open_gateways
from bot.links import PUBLISHED_PAGES
from bot.talk import Reply, Saying
from bot.templates import simulator_templates
from bot.worker import Worker
from handlers.context import Context
from handlers.notices import open_events
from handlers.ports import Ports
from miniapp_api.apis import APIS
from miniapp_api.application import create_app
from settings import Settings
from simulator.app import create_app as create_simulator
from simulator.pushing import Callbacks, Secrets
from tests.conftest import UNLIMITED
from tests.fakes import Clock, MemoryStorage
from tests.world import Member, World

OA_KEY, PUSH_KEY, EVENT_KEY = "oa" + "A" * 41, "mp" + "B" * 41, "ev" + "C" * 41
TABLES = ("inbound_messages", "talk_windows", "bot_identities", "bindings", "identities", "events", "notices", "deliveries", "sessions")


class Listener:
    """A conversation that repeats what was said, and remembers who said it as whom. `answers` come first if there are any."""

    def __init__(self) -> None:
        self.heard: list[tuple[Context, Saying]] = []
        self.answers: list[list[Reply] | Exception] = []

    async def __call__(self, ctx: Context, saying: Saying) -> list[Reply]:
        self.heard.append((ctx, saying))
        answer = self.answers.pop(0) if self.answers else [Reply(f"收到：{saying.text}")]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def texts(self) -> list[str]:
        return [saying.text for _, saying in self.heard]


@dataclass
class Chats:
    """`do` is a hand at the simulator, `work` lets the worker do what is due."""

    world: World
    simulator: TestClient[Any, Any]
    settings: Settings
    gateways: Gateways
    worker: Worker
    listener: Listener
    clock_file: Path
    app: Any = None
    names: list[str] = field(default_factory=list)

    async def do(self, what: str, /, **body: Any) -> Any:
        async with self.simulator.post(f"/control/{what}", json=body) as response:
            answer = await response.json()
            assert response.status == 200, (what, answer)
            return answer

    async def befall(self, path: str, times: int | None = 1, **answer: Any) -> None:
        await self.do("inject", path=path, times=times, answer=answer)

    def advance(self, **parts: float) -> datetime:
        """Both clocks: the platform's and ours are one."""
        now = self.world.clock.advance(**parts)
        set_offset(self.clock_file, self.world.clock)
        return now

    async def phone(self, name: str, platform: str = "wechat_oa", **more: Any) -> str:
        return str((await self.do("phones", name=name, platform=platform, **more))["id"])

    async def follower(self, name: str = "王小明", **more: Any) -> str:
        """Somebody who follows the Official Account; what that says has been handled."""
        key = await self.phone(name, **{"unionid": None, **more})
        await self.do(f"chat/{key}/follow")
        await self.work()
        return key

    async def bound(self, member: Member, name: str = "王小明", platform: str = "wechat_oa") -> str:
        """A chat that is this member's, bound by a code typed in it."""
        key = await (self.follower(name) if platform == "wechat_oa" else self.phone(name, platform))
        status, shown = await self.world.post("/bindings", by=member)
        assert status == 201, shown
        await self.say(key, f"绑定{shown['code']}")
        assert (await self.received(key))[-1].startswith("绑定成功"), await self.received(key)
        return key

    async def push(self, key: str, text: str, **more: Any) -> dict[str, Any]:
        """Say something; what the platform saw of our callback."""
        return dict(await self.do(f"chat/{key}/say", text=text, **more))

    async def say(self, key: str, text: str, **more: Any) -> list[str]:
        """Say something, let it be answered, and read everything that came since."""
        before = len(await self.received(key))
        assert (await self.push(key, text, **more))["status"] == 200
        await self.work()
        return (await self.received(key))[before:]

    async def work(self) -> int:
        done = 0
        while found := await self.worker.turn():
            done += found
        return done

    async def messages(self, key: str) -> list[dict[str, Any]]:
        async with self.simulator.get(f"/control/phones/{key}/messages") as response:
            return list((await response.json())["messages"])

    async def received(self, key: str) -> list[str]:
        return [each["fields"][0][1] for each in await self.messages(key) if each["kind"] in ("service", "robot", "card")]

    async def calls(self, path: str) -> list[dict[str, Any]]:
        async with self.simulator.get("/control/calls", params={"path": path}) as response:
            return list((await response.json())["calls"])

    async def post(
        self, path: str, data: bytes | str | dict[str, Any], query: dict[str, str] | None = None, **headers: str,
    ) -> tuple[int, str]:
        """A push from anywhere, as it is."""
        body = json.dumps(data).encode() if isinstance(data, dict) else data
        async with self.world.client.post(f"/bot{path}", data=body, params=query, headers=headers) as response:
            return response.status, await response.text()

    async def snapshot(self) -> dict[str, Any]:
        return await self.world.snapshot(*TABLES)

    async def open_notices(self) -> list[str]:
        """Bodies of the notices that came to be."""
        await self.world.sweep(open_events)
        return [row["body"] for row in await self.world.owner.fetch("SELECT body FROM notices ORDER BY id")]

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.world.owner.fetch("SELECT state FROM inbound_messages ORDER BY id")]


def set_offset(path: Path, clock: Clock) -> None:
    """The simulator runs on a frozen real time of zero, so its offset is our clock."""
    with path.open("r+b") as file:
        file.write(struct.pack("<d", clock.now().timestamp()))


@asynccontextmanager
async def open_chats(
    database: Any, clock: Clock, settings: Settings, redis_url: str | None, tmp_path: Path,
    change: Callable[[Settings], Settings] = lambda settings: settings,
) -> AsyncIterator[Chats]:
    """`change` sees the settings before anything is made of them."""
    mark = uuid.uuid4().hex[:12]  # tokens of another test, in the same Valkey, belong to another app
    clock_file = tmp_path / "clock"
    clock_file.write_bytes(struct.pack("<d", 0.0))
    set_offset(clock_file, clock)
    ours = settings.model_copy(update={
        "wechat_appid": f"wx{mark}", "wechat_oa_appid": f"oa{mark}", "dingtalk_appkey": f"ding{mark}",
        "wechat_oa_token": SecretStr("oatoken"), "wechat_push_token": SecretStr("mptoken"), "dingtalk_event_token": SecretStr("evtoken"),
        "wechat_oa_aes_key": SecretStr(OA_KEY), "wechat_push_aes_key": SecretStr(PUSH_KEY),
        "dingtalk_event_aes_key": SecretStr(EVENT_KEY), "dingtalk_card_secret": SecretStr("cardsecret"), "dingtalk_mode": "http",
        "public_url": "https://quan.example.cn",
    })
    port = unused_port()
    base = f"http://127.0.0.1:{port}/bot"
    simulator = create_simulator(
        clock_file=clock_file, wechat_appid=ours.wechat_appid, wechat_secret=ours.wechat_secret.get_secret_value(),
        dingtalk_appkey=ours.dingtalk_appkey, dingtalk_appsecret=ours.dingtalk_appsecret.get_secret_value(), agent_id=1,
        templates=simulator_templates(), pages=PUBLISHED_PAGES, real_now=lambda: 0.0,
        wechat_oa=(ours.wechat_oa_appid, ours.wechat_oa_secret.get_secret_value()),
        callbacks=Callbacks(
            Secrets(f"{base}/wechat/oa", "oatoken", OA_KEY), Secrets(f"{base}/wechat/miniapp", "mptoken", PUSH_KEY),
            Secrets(f"{base}/dingtalk/events", "evtoken", EVENT_KEY), f"{base}/dingtalk/robot", f"{base}/dingtalk/cards", "cardsecret",
        ),
        api_url=f"http://127.0.0.1:{port}/api/v1", people=["王小明"],
    )
    async with TestClient(TestServer(simulator)) as platform:
        ours = change(ours.model_copy(update={
            "wechat_api_base_url": str(platform.make_url("/wechat")), "dingtalk_api_base_url": str(platform.make_url("/dingtalk")),
            "dingtalk_oapi_base_url": str(platform.make_url("/oapi")),
        }))
        async with open_gateways(ours, redis_url) as gateways:
            ports = Ports(gateways.logins, gateways.senders, MemoryStorage(), scenes=gateways.scenes, cards=gateways.cards)
            app = create_app(
                settings=ours, clock=clock, ports=ports, apis=APIS, redis_url=None, strict_refusals=True, policies=UNLIMITED,
            )
            mount(app, ours, clock, ports, gateways)
            listener = Listener()
            async with TestClient(TestServer(app, port=port)) as client:
                world = World(client, database, clock, ours, ports)
                worker = make_worker(ours, clock, ports, gateways, listener)
                yield Chats(world, platform, ours, gateways, worker, listener, clock_file, app)


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Wait for what another task or process does. Nothing waits this long when all is well."""
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)
