"""A phone in the simulator, signed in to the real backend: what the walks through the manuals are made of."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp

TOO_MANY = 429
TRIES = 3
WAIT_SECONDS = 30  # for the jobs to do what the clock has made due
START_SECONDS = 180  # for `make run` to start, which the first time makes a database; on a busy machine in minutes


class WalkFailedError(Exception):
    """The backend answered something else than the manual says."""


class RefusedError(WalkFailedError):
    """A problem document, which the manual may expect."""

    def __init__(self, what: str, problem: Any) -> None:
        super().__init__(f"{what}: {problem!r}")
        self.problem = problem


@dataclass
class Town:
    """The backend and the simulator, by their addresses."""

    http: aiohttp.ClientSession
    backend: str
    simulator: str
    signed_in: dict[str, "Phone"] = field(default_factory=dict)

    async def control(self, path: str, body: object = None, method: str = "POST") -> Any:
        async with self.http.request(method, f"{self.simulator}/control{path}", json=body if method == "POST" else None) as response:
            if response.status >= 400:
                raise WalkFailedError(f"simulator {path}: {response.status} {await response.text()}")
            return await response.json()

    async def wakes(self) -> bool:
        """Whether both answer, now or within START_SECONDS."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():  # noqa: ASYNC110 - what we wait for is another process
                    await asyncio.sleep(0.2)
        except TimeoutError:
            return False
        return True

    async def _answers(self) -> bool:
        for url in (f"{self.backend}/readyz", f"{self.simulator}/control/clock"):
            try:
                async with self.http.get(url) as response:
                    if not response.ok:
                        return False
            except (aiohttp.ClientError, TimeoutError):
                return False
        return True

    async def now(self) -> datetime:
        return datetime.fromisoformat((await self.control("/clock", method="GET"))["now"])

    async def move_to(self, moment: datetime) -> None:
        await self.control("/clock", {"to": moment.isoformat()})

    async def advance(self, **parts: float) -> datetime:
        await self.control("/clock", {"advance_seconds": timedelta(**parts).total_seconds()})
        return await self.now()

    async def phone(self, name: str, platform: str = "wechat") -> "Phone":
        registered = await self.control("/phones", {"name": name, "platform": platform})
        return Phone(self, name, platform, registered["id"], registered["mobile"])

    async def at_work(self, name: str) -> "Phone":
        """Somebody whom several walks need, signed in once: of log-ins a network has thirty a minute."""
        phone = self.signed_in.get(name)
        if phone is None or not await phone.is_signed_in():
            phone = self.signed_in[name] = await self.phone(name)
            await phone.sign_in()
        return phone

    async def mails(self, address: str) -> list[Any]:
        """What the mailbox of this address has got; nothing for one that nobody has written to."""
        mailboxes = (await self.control("/phones", method="GET"))["phones"]
        if all(each["id"] != address for each in mailboxes):
            return []
        return list((await self.control(f"/phones/{address}/messages", method="GET"))["messages"])

    async def mail(self, address: str, words: str) -> Any:
        """The newest mail with these words, waited for."""
        def meant(mails: list[Any]) -> list[Any]:
            return [each for each in mails if words in each["title"] or words in each["raw"]["text"]]

        return meant(await poll(lambda: self.mails(address), lambda mails: bool(meant(mails)), f"mail to {address}"))[-1]


@dataclass
class Phone:
    """Somebody with a phone. `sign_in` first; everything else speaks as the acting membership."""

    town: Town
    name: str
    platform: str
    id: str
    mobile: str = ""
    token: str = field(default="", repr=False)

    async def sign_in(self) -> Any:
        code = (await self.town.control(f"/phones/{self.id}/login-code", {}))["code"]
        signed_in = await self.post("/sessions", {"platform": self.platform, "code": code})
        self.token = signed_in["token"]
        return signed_in["me"]

    async def is_signed_in(self) -> bool:
        """A session ends after thirty days without use, which pass quickly here."""
        try:
            await self.get("/me")
        except RefusedError as refused:
            if refused.problem["code"] != "session_ended":
                raise
            return False
        return True

    async def bind_phone(self) -> Any:
        """Once more where the platform has no answer: a clock that was moved ends the platform tokens of all processes at once."""
        for _ in range(TRIES - 1):
            try:
                return await self._bind_phone()
            except RefusedError as refused:
                if refused.problem["code"] != "platform_unavailable":
                    raise
        return await self._bind_phone()

    async def _bind_phone(self) -> Any:
        code = (await self.town.control(f"/phones/{self.id}/phone-code", {}))["code"]
        return await self.put("/me/phone", {"code": code})

    async def accept_messages(self, occasion: str) -> int:
        """The popup after a tap: accept the templates of this occasion and report it. Returns how many."""
        asked = await self.get("/notices/consents")
        ids = next(each["templates"] for each in asked["occasions"] if each["occasion"] == occasion)
        await self.town.control(f"/phones/{self.id}/consent", {"template_ids": ids, "answer": "accept"})
        answers = [{"template": template, "answer": "accept"} for template in ids]
        await self.post("/notices/consents", {"nonce": secrets.token_hex(8), "answers": answers})
        return len(ids)

    async def upload(self, slot: str, file_name: str, content: bytes) -> int:
        def form() -> dict[str, Any]:
            made = aiohttp.FormData()
            made.add_field("file", content, filename=file_name)
            return {"data": made}

        return int((await self._call("POST", f"/attachments?slot={slot}", form))["id"])

    async def download(self, path: str) -> bytes:
        return bytes(await self._call("GET", path))

    async def messages(self) -> list[Any]:
        """What the platform has shown on this phone."""
        return list((await self.town.control(f"/phones/{self.id}/messages", method="GET"))["messages"])

    async def get(self, path: str) -> Any:
        return await self._call("GET", path)

    async def post(self, path: str, body: object = None) -> Any:
        return await self._call("POST", path, lambda: {"json": {} if body is None else body})

    async def refused(self, path: str, body: object = None, method: str = "POST") -> Any:
        """The problem document of a request that the manual wants refused."""
        try:
            answer = await (self.get(path) if method == "GET" else self.post(path, body))
        except RefusedError as refused:
            return refused.problem
        raise WalkFailedError(f"{method} {path} was not refused: {answer!r}")

    async def delete(self, path: str) -> Any:
        return await self._call("DELETE", path)

    async def put(self, path: str, body: object = None) -> Any:
        return await self._call("PUT", path, lambda: {"json": {} if body is None else body})

    async def _call(self, method: str, path: str, content: Callable[[], dict[str, Any]] = dict) -> Any:
        """The answer: JSON, or the bytes of a file. `content` is made again when a request is repeated: a form is sent once."""
        headers = {"Idempotency-Key": secrets.token_hex(12)} if method != "GET" else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        async with self.town.http.request(method, f"{self.town.backend}/api/v1{path}", headers=headers, **content()) as response:
            is_json = response.content_type.endswith("json")
            answer: Any = await response.json(content_type=None) if is_json else await response.read()
            if response.status == TOO_MANY:
                seconds = float(response.headers["Retry-After"])
                print(f"     等待限流 {seconds:g} 秒（{method} {path}）", flush=True)
                await asyncio.sleep(seconds)
                return await self._call(method, path, content)
            if response.status >= 400:
                raise RefusedError(f"{method} {path}: {response.status}", answer)
            return answer

    async def until(self, path: str, expected: Callable[[Any], bool]) -> Any:
        """Ask until `expected(answer)` holds: the jobs are at work beside us."""
        return await poll(lambda: self.get(path), expected, path)

    async def sms(self, words: str) -> str:
        """The text of the newest SMS with these words, waited for."""
        def texts(shown: list[Any]) -> list[str]:
            return [each["fields"][0][1] for each in shown if each["kind"] == "sms" and words in each["fields"][0][1]]

        return texts(await poll(self.messages, lambda shown: bool(texts(shown)), f"SMS to {self.name}"))[-1]

    async def subscribed(self, count: int) -> list[Any]:
        """WeChat's subscribe messages, when there are as many; the number of this phone may have got an SMS too."""
        async def ask() -> list[Any]:
            return [each for each in await self.messages() if each["kind"] == "subscribe"]

        return list(await poll(ask, lambda shown: len(shown) >= count, f"subscribe messages of {self.name}"))


async def poll(ask: Callable[[], Awaitable[Any]], expected: Callable[[Any], bool], what: str) -> Any:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not expected(answer := await ask()):  # noqa: ASYNC110 - what we wait for is another process
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise WalkFailedError(f"{what} did not become what it should in {WAIT_SECONDS} s: {answer}") from None
    return answer
