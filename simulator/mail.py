"""A mail server that keeps what it gets: real SMTP on a loopback port, one mailbox for each address that was written to."""

import asyncio
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from simulator.state import World

URL = re.compile(r"https?://[^\s<>\"]+")


class Mail:
    """The handler of aiosmtpd: its method names are the protocol's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._server: asyncio.Server | None = None
        self.forget()

    def forget(self) -> None:
        self.answers: dict[str, str] = {}  # mailbox -> what RCPT TO is answered, instead of 250

    async def start(self, host: str, port: int) -> int:
        """Returns the port, for 0 takes any."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, hostname="mail.simulator", ident="simulated mail"), host, port,
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str],
    ) -> str:
        del server, session, options
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        mail: Any = message_from_bytes(raw, EmailMessage, policy=default)
        if mail.defects or mail["Message-ID"] is None or mail["Date"] is None:
            return "554 5.6.0 not a mail of RFC 5322"
        text = mail.get_body(("plain",))
        content = text.get_content().strip() if text else ""
        html = mail.get_body(("html",))
        link = URL.search(content)
        for address in envelope.rcpt_tos:
            known = self._world.outside("email", address)
            again = any(each.raw["headers"].get("Message-ID") == str(mail["Message-ID"]) for each in known.messages)
            self._world.deliver(known, "mail", str(mail["Subject"]), [("", content), *([("重复", "与上一封为同一通知")] if again else [])],
                                link[0] if link else "", {
                "from": str(envelope.mail_from), "headers": {name: str(value) for name, value in mail.items()}, "text": content,
                "html": html.get_content() if html else "",
            })
        return "250 2.0.0 taken"
