"""E-mail as `handlers.ports` wants it: one message to one mailbox over SMTP, text with a plain HTML twin, and what an answer means."""

import re
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from html import escape
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from bot.deep_links import go_url
from bot.values import plain
from handlers.outside import is_email
from handlers.ports import Message, Outcome, SendResult

log = structlog.get_logger(__name__)

PORTS = {"smtp": 587, "smtps": 465}
SENDER = re.compile(r"(?P<name>[^<>\r\n\"]*)<(?P<address>[^<>]+)>|(?P<bare>[^<>\s]+)")
# Wrong password, no right to send as this sender, no TLS: people repair that, and the mails should still go out.
OURS_SECONDS = 60
FOOTER = "本邮件由企服券平台自动发送，请勿直接回复。可在小程序「我的—消息设置」中调整接收方式。"
HTML = """\
<!DOCTYPE html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="margin:0;padding:24px;background:#f4f5f7;color:#1f2329;font:16px/1.7 sans-serif">
<div style="max-width:560px;margin:0 auto;padding:24px;background:#fff;border-radius:8px">
<h1 style="margin:0 0 12px;font-size:20px">{title}</h1>
<p style="margin:0 0 20px;white-space:pre-line">{body}</p>
{button}<p style="margin:20px 0 0;color:#646a73;font-size:13px">{footer}</p>
</div></body></html>
"""
BUTTON = """\
<p style="margin:0 0 8px"><a href="{link}" style="display:inline-block;padding:10px 20px;background:#1456f0;color:#fff;\
border-radius:6px;text-decoration:none">查看详情</a></p>
<p style="margin:0;color:#646a73;font-size:13px;word-break:break-all">{link}</p>
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails are handed over. `tls`: implicit (smtps), starttls (asked for, and nothing is sent without), or off."""

    host: str
    port: int
    tls: str
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str, starttls: str) -> "Server":
        """smtp[s]://[user[:password]@]host[:port], user and password percent-encoded."""
        parts = urlsplit(url)
        return cls(
            parts.hostname or "localhost", parts.port or PORTS[parts.scheme],
            "implicit" if parts.scheme == "smtps" else "starttls" if starttls == "required" else "off",
            unquote(parts.username) if parts.username else None, unquote(parts.password) if parts.password else None,
        )


def sender_of(text: str) -> Address:
    """`企服券 <no-reply@example.com>` or the bare address. Raises ValueError."""
    found = SENDER.fullmatch(text.strip())
    address = (found["bare"] or found["address"]).strip() if found else ""
    if found is None or not is_email(address):
        raise ValueError("not a sender: NAME <ADDRESS>")
    return Address((found["name"] or "").strip(), addr_spec=address)


class MailSender:
    """A connection for each mail: a server that drops idle connections then costs nothing, and one that hangs, one worker."""

    def __init__(
        self, server: Server, sender: Address, public_url: str, timeout_seconds: float, tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server, self._sender, self._public_url, self._timeout = server, sender, public_url.rstrip("/"), timeout_seconds
        self._tls = tls or ssl.create_default_context()

    async def send(self, message: Message) -> SendResult:
        if not is_email(message.open_id):
            return SendResult(Outcome.REFUSED, error="not a mail address")
        try:
            mail = compose(message, self._sender, self._public_url).as_bytes(policy=SMTP_POLICY)
            async with aiosmtplib.SMTP(
                hostname=self._server.host, port=self._server.port, timeout=self._timeout, tls_context=self._tls,
                use_tls=self._server.tls == "implicit", start_tls=self._server.tls == "starttls",
                username=self._server.user, password=self._server.password,
            ) as client:
                await client.sendmail(self._sender.addr_spec, [message.open_id], mail)
        except aiosmtplib.SMTPException as error:
            return outcome_of(error)
        except OSError as error:  # a certificate that is not right, a host that is not there
            return _ours(type(error).__name__)
        return SendResult(Outcome.DELIVERED)

    async def receipt(self, provider_id: str) -> SendResult:
        """A bounce comes as a mail, days later if ever: what the server took counts as delivered."""
        return SendResult(Outcome.DELIVERED, provider_id=provider_id)


def compose(message: Message, sender: Address, public_url: str) -> EmailMessage:
    """The mail. Its Message-ID is that of the notice, so that the second of two after a crash can be recognised and dropped."""
    link = link_of(message, public_url)
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = Address(addr_spec=message.open_id)
    mail["Subject"] = subject_of(message)
    mail["Message-ID"] = f"<{message.reference}.{message.kind}@{sender.domain}>"
    if message.sent_at is not None:
        mail["Date"] = message.sent_at
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answer comes back
    mail["X-Auto-Response-Suppress"] = "All"   # the same for Exchange
    mail["Content-Language"] = "zh-CN"
    body = message.body.encode(errors="ignore").decode()  # without halves of characters, which no charset has
    text = "\n\n".join(filter(None, (plain(message.title), body, link, FOOTER)))
    mail.set_content(text + "\n", cte="base64")
    mail.add_alternative(html_of(plain(message.title), body, link), subtype="html", cte="base64")
    return mail


def subject_of(message: Message) -> str:
    """One line, whatever stands in the title: no line of its own can become another header."""
    return f"【企服券】{plain(message.title)}"


def link_of(message: Message, public_url: str) -> str | None:
    """The message's own link if it has one, else our page that opens the mini-program where the message leads."""
    own = message.fields.get("link")
    if own is not None:
        return own if own.startswith(("https://", f"{public_url}/")) else None
    return go_url(public_url, message.page) if message.page else None


def html_of(title: str, body: str, link: str | None) -> str:
    button = BUTTON.format(link=escape(link)) if link else ""
    return HTML.format(title=escape(title), body=escape(body), button=button, footer=escape(FOOTER))


# --- what the server says ------------------------------------------------------------------------------------------------------


def outcome_of(error: aiosmtplib.SMTPException) -> SendResult:
    """5yz about the mailbox or the mail is final, 4yz is for later (RFC 5321, 4.2.1); about us, the channel rests meanwhile.

    Only codes are kept: the texts of servers repeat the address.
    """
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _about_the_mail(error.recipients[0].code, error.recipients[0].message)
    if isinstance(error, aiosmtplib.SMTPDataError):
        return _about_the_mail(error.code, error.message)
    if isinstance(error, aiosmtplib.SMTPResponseException):  # greeting, EHLO, AUTH, STARTTLS, MAIL FROM
        if error.code == 421 or (isinstance(error, aiosmtplib.SMTPSenderRefused) and 400 <= error.code < 500):
            return SendResult(Outcome.RETRY, error=_codes(error.code, error.message))
        return _ours(f"{type(error).__name__} {_codes(error.code, error.message)}")
    if isinstance(error, aiosmtplib.SMTPTimeoutError | aiosmtplib.SMTPServerDisconnected):
        return SendResult(Outcome.RETRY, error=type(error).__name__)  # it may have been taken: hence the Message-ID
    return _ours(type(error).__name__)


def _about_the_mail(code: int, text: str) -> SendResult:
    return SendResult(Outcome.REFUSED if 500 <= code < 600 else Outcome.RETRY, error=_codes(code, text))


def _ours(error: str) -> SendResult:
    log.error("mail_server_refuses_us", error=error)
    return SendResult(Outcome.RETRY, error=error, retry_after_seconds=OURS_SECONDS)


def _codes(code: int, text: str) -> str:
    """The code with its enhanced status (RFC 3463), e.g. "550 5.1.1"."""
    enhanced = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", text)
    return f"{code} {enhanced[0]}" if enhanced else str(code)
