"""The platforms' twins for a terminal: log-in with any name, messages as log lines. For development without the simulator."""


import structlog

from bot.links import page_for
from bot.values import plain
from handlers.ports import Message, Outcome, SendResult

log = structlog.get_logger(__name__)

CODE = "console-"


def masked(open_id: str) -> str:
    """Enough to tell two people apart in a log, too little to address one."""
    return f"{open_id[:3]}***{open_id[-2:]}" if len(open_id) > 8 else "***"


class ConsoleSender:
    async def send(self, message: Message) -> SendResult:
        log.info("message", kind=message.kind, to=masked(message.open_id), title=plain(message.title), body=plain(message.body),
                 page=page_for(message.kind, message.page))
        return SendResult(Outcome.DELIVERED)

    async def receipt(self, provider_id: str) -> SendResult:
        """Nothing is pending here: what was shown was delivered."""
        return SendResult(Outcome.DELIVERED, provider_id=provider_id)
