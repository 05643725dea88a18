"""The platforms' twins for a terminal: log-in with any name, messages as log lines. For development without the simulator."""

import hashlib
from urllib.parse import quote

import structlog

from bot.links import page_for
from bot.values import plain
from handlers.ports import LoginRefusedError, Message, Outcome, PlatformUser, SendResult

log = structlog.get_logger(__name__)

CODE = "console-"


def masked(open_id: str) -> str:
    """Enough to tell two people apart in a log, too little to address one."""
    return f"{open_id[:3]}***{open_id[-2:]}" if len(open_id) > 8 else "***"


class ConsoleLogin:
    """The code `console-<name>` is the person of that name, the same after a restart; every other code is refused."""

    async def exchange(self, code: str) -> PlatformUser:
        name = code.removeprefix(CODE)
        if not code.startswith(CODE) or not name.strip():
            raise LoginRefusedError
        digest = hashlib.sha256(quote(name, errors="replace").encode()).hexdigest()
        return PlatformUser(app_id="console", open_id=f"c{digest[:27]}", union_id=None)

    async def phone(self, code: str, open_id: str) -> str:
        """The code is `console-<open id>`, because a platform's phone code belongs to one user as well."""
        if code != CODE + open_id:
            raise LoginRefusedError
        return f"138{int(hashlib.sha256(open_id.encode()).hexdigest(), 16) % 10**8:08d}"


class ConsoleSender:
    async def send(self, message: Message) -> SendResult:
        log.info("message", kind=message.kind, to=masked(message.open_id), title=plain(message.title), body=plain(message.body),
                 page=page_for(message.kind, message.page))
        return SendResult(Outcome.DELIVERED)

    async def receipt(self, provider_id: str) -> SendResult:
        """Nothing is pending here: what was shown was delivered."""
        return SendResult(Outcome.DELIVERED, provider_id=provider_id)
