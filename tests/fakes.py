"""Stand-ins for the world outside: time, and the platforms. Nothing of ours is replaced."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from handlers.ports import LoginRefusedError, Message, Outcome, PlatformUser, Ports, SendResult, Suggest, Verdict
from handlers.refusals import StorageAway


class Clock:
    """Time that moves only when a test says so."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, **parts: float) -> datetime:
        self._now += timedelta(**parts)
        return self._now

    def set(self, now: datetime) -> datetime:
        self._now = now
        return now


@dataclass
class Gateway:
    """A platform in memory: log-in codes are `code-<open id>`, sent messages are kept, `answers` come first if there are any."""

    app_id: str = "wx-test"
    sent: list[Message] = field(default_factory=list)
    answers: list[SendResult] = field(default_factory=list)
    receipts: dict[str, SendResult] = field(default_factory=dict)

    async def exchange(self, code: str) -> PlatformUser:
        if not code.startswith("code-"):
            raise LoginRefusedError
        return PlatformUser(self.app_id, code.removeprefix("code-"), None)

    async def phone(self, code: str, open_id: str) -> str:
        """Phone codes are `phone-<number>@<open id>`: the platform binds a code to the user who gave it."""
        number, _, owner = code.removeprefix("phone-").partition("@")
        if owner != open_id:
            raise LoginRefusedError
        return number

    async def send(self, message: Message) -> SendResult:
        if self.answers:
            return self.answers.pop(0)
        self.sent.append(message)
        return SendResult(Outcome.DELIVERED, provider_id=str(len(self.sent)))

    async def receipt(self, provider_id: str) -> SendResult:
        return self.receipts.get(provider_id, SendResult(Outcome.DELIVERED, provider_id=provider_id))


@dataclass
class Judge:
    """A content check in memory: texts pass unless `verdicts` says otherwise; `asked` keeps (open id, scene, text)."""

    verdicts: list[Verdict] = field(default_factory=list)
    asked: list[tuple[str, int, str]] = field(default_factory=list)

    async def check(self, open_id: str, scene: int, text: str) -> Verdict:
        self.asked.append((open_id, scene, text))
        return self.verdicts.pop(0) if self.verdicts else Verdict(Suggest.PASS, 100, f"trace-{len(self.asked)}")


class MemoryStorage:
    """`away` holds the parts of keys for which it does not answer; the empty part is all of them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.away: set[str] = set()

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        content = b"".join([chunk async for chunk in chunks])
        self.files[key] = content

    async def get(self, key: str) -> AsyncIterator[bytes]:
        if key not in self.files:
            raise FileNotFoundError(key)
        yield self.files[key]

    async def delete(self, key: str) -> None:
        if any(part in key for part in self.away):
            raise StorageAway
        self.files.pop(key, None)


def ports() -> Ports:
    wechat, dingtalk = Gateway("wx-test"), Gateway("ding-test")
    return Ports(
        logins={"wechat": wechat, "dingtalk": dingtalk},
        senders={"wechat_subscribe": wechat, "dingtalk_notice": dingtalk},
        storage=MemoryStorage(), content_check=Judge(),
    )
