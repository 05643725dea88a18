"""E-mail over real SMTP: what is in a mail, how the connection is secured, and what each answer of a server means (D06, D15)."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.mail import MailSender, Server, compose, outcome_of, sender_of
from handlers.ports import Message, Outcome, SendResult
from simulator.app import SMTP_PORT, create_app

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)
SENDER = sender_of("企服券 <no-reply@qifuquan.example.com>")
MESSAGE = Message(
    "approval_result", "anna@example.com", "审核结果：审核通过", "您提交的「企业认证」审核通过。", "pages/applications/show?id=7", {},
    "N42", AT,
)
URL = "https://qifuquan.example.com"


@dataclass
class Inbox:
    """A server's mind: what it got, and what it says instead of 250. The method names are the protocol's."""

    port: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    hang_up: bool = False

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str],
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str],
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        said = self.answers.get("DATA", "250 OK")
        if said.startswith("250"):
            self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, EmailMessage, policy=default)))
            self.encrypted.append(session.ssl is not None)
        if self.hang_up:
            server.transport.abort()
        return said


@asynccontextmanager
async def server(inbox: Inbox, *, wrap: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Inbox]:
    def protocol() -> SMTP:
        return SMTP(inbox, hostname="mx.example.com", **options)

    running = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=wrap)
    inbox.port = running.sockets[0].getsockname()[1]
    try:
        yield inbox
    finally:
        running.close()
        await running.wait_closed()


def sender(
    port: int, *, tls: str = "off", context: ssl.SSLContext | None = None, user: str | None = None, seconds: float = 5,
) -> MailSender:
    return MailSender(Server("127.0.0.1", port, tls, user, user and "secret"), SENDER, URL, seconds, context)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(the server's context, that of a client who trusts it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.com")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    Path(path).write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(path)
    return serving, ssl.create_default_context(cafile=str(path))


def content(mail: EmailMessage, subtype: str) -> str:
    part: Any = mail.get_body((subtype,))
    return str(part.get_content()).replace("\r\n", "\n")


# --- what is in it ---------------------------------------------------------------------------------------------------------


async def test_a_mail_arrives_with_chinese_text_its_html_twin_and_a_deep_link():
    async with server(Inbox()) as inbox:
        assert await sender(inbox.port).send(MESSAGE) == SendResult(Outcome.DELIVERED)
    ((to, mail),) = inbox.mails
    assert to == ["anna@example.com"]
    assert {name: mail[name] for name in ("From", "To", "Subject", "Message-ID", "Auto-Submitted", "Date")} == {
        "From": "企服券 <no-reply@qifuquan.example.com>", "To": "anna@example.com", "Subject": "【企服券】审核结果：审核通过",
        "Message-ID": "<N42.approval_result@qifuquan.example.com>", "Auto-Submitted": "auto-generated",
        "Date": "Mon, 02 Mar 2026 01:00:00 +0000",
    }
    link = f"{URL}/go/pages/applications/show?id=7"
    text, html = content(mail, "plain"), content(mail, "html")
    assert text.split("\n\n")[:3] == [MESSAGE.title, MESSAGE.body, link]
    assert f'<a href="{link}"' in html
    assert f">{MESSAGE.body}</p>" in html


async def test_what_people_write_stays_text_in_the_html_and_one_line_in_the_subject():
    nasty = replace(MESSAGE, title="审核\r\nBcc: eve@example.com\n<b>", body='<script>alert("1")</script>\n第二行&', page="")
    async with server(Inbox()) as inbox:
        await sender(inbox.port).send(nasty)
    ((to, mail),) = inbox.mails
    assert (to, mail["Bcc"]) == (["anna@example.com"], None)
    assert mail["Subject"].startswith("【企服券】审核")
    assert "\n" not in mail["Subject"]
    html = content(mail, "html")
    assert "<script" not in html
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\n第二行&amp;" in html
    assert "<a " not in html


@pytest.mark.parametrize(("fields", "expected"), [
    ({"link": f"{URL}/i/abc"}, f"{URL}/i/abc"), ({"link": "javascript:alert(1)"}, None), ({"link": "http://elsewhere.example/"}, None),
])
def test_a_message_with_a_link_of_its_own_leads_there_and_never_to_another_scheme(fields, expected):
    text = content(compose(replace(MESSAGE, fields=fields), SENDER, URL), "plain")
    links = [line for line in text.splitlines() if "//" in line or "javascript" in line]
    assert links == ([expected] if expected else [])


@pytest.mark.parametrize("text", ["", "\n", "👨‍👩‍👧", "券" * 3000, "\ud83d", "\x00", "\r\nBcc: b@example.com"])
async def test_no_text_is_too_odd_for_a_mail(text: str):
    async with server(Inbox()) as inbox:
        result = await sender(inbox.port).send(replace(MESSAGE, title=text, body=text))
    assert result == SendResult(Outcome.DELIVERED)
    ((to, mail),) = inbox.mails
    assert to == ["anna@example.com"]
    assert mail["Bcc"] is None


async def test_a_repeated_send_has_the_same_message_id():
    async with server(Inbox()) as inbox:
        await sender(inbox.port).send(MESSAGE)
        await sender(inbox.port).send(replace(MESSAGE, sent_at=AT + timedelta(minutes=1)))
    assert len({mail["Message-ID"] for _, mail in inbox.mails}) == 1
    assert len(inbox.mails) == 2


@pytest.mark.parametrize("address", ["nobody", "a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", ""])
async def test_what_is_no_address_reaches_no_server(address):
    async with server(Inbox()) as inbox:
        result = await sender(inbox.port).send(replace(MESSAGE, open_id=address))
    assert result == SendResult(Outcome.REFUSED, error="not a mail address")
    assert inbox.mails == []


# --- the connection --------------------------------------------------------------------------------------------------------


async def test_starttls_is_asked_for_and_the_password_goes_only_through_it(certificate):
    serving, trusting = certificate

    def allow(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"robot", b"secret"), handled=False)

    options: dict[str, Any] = {"tls_context": serving, "require_starttls": True, "authenticator": allow, "auth_required": True}
    async with server(Inbox(), **options) as inbox:
        good = sender(inbox.port, tls="starttls", context=trusting, user="robot")
        assert (await good.send(MESSAGE)).outcome is Outcome.DELIVERED
        bad = await sender(inbox.port, tls="starttls", context=trusting, user="other").send(MESSAGE)
    assert inbox.encrypted == [True]
    assert (bad.outcome, bad.retry_after_seconds, bad.error) == (Outcome.RETRY, 60, "SMTPAuthenticationError 535 5.7.8")


async def test_a_server_that_cannot_starttls_gets_neither_password_nor_mail():
    async with server(Inbox()) as inbox:
        result = await sender(inbox.port, tls="starttls", user="robot").send(MESSAGE)
    assert (result.outcome, result.retry_after_seconds, inbox.mails) == (Outcome.RETRY, 60, [])


async def test_implicit_tls_works_and_a_certificate_nobody_vouches_for_does_not(certificate):
    serving, trusting = certificate
    async with server(Inbox(), wrap=serving) as inbox:
        assert (await sender(inbox.port, tls="implicit", context=trusting).send(MESSAGE)).outcome is Outcome.DELIVERED
        assert (await sender(inbox.port, tls="implicit").send(MESSAGE)).outcome is Outcome.RETRY
    assert len(inbox.mails) == 1


async def test_a_server_that_is_not_there_or_says_nothing_is_for_later():
    async with server(Inbox()) as inbox:
        gone = inbox.port
    assert (await sender(gone).send(MESSAGE)).outcome is Outcome.RETRY
    release = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    mute = await asyncio.start_server(silent, "127.0.0.1", 0)
    result = await sender(mute.sockets[0].getsockname()[1], seconds=0.2).send(MESSAGE)
    release.set()
    mute.close()
    await mute.wait_closed()
    assert result.outcome is Outcome.RETRY


async def test_what_answers_and_is_no_mail_server_is_for_later_and_the_channel_rests():
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as other:
        result = await sender(other.sockets[0].getsockname()[1]).send(MESSAGE)
    assert (result.outcome, result.retry_after_seconds) == (Outcome.RETRY, 60)


async def test_a_connection_that_breaks_after_the_mail_is_tried_again_with_the_same_id():
    async with server(Inbox(hang_up=True)) as inbox:
        result = await sender(inbox.port).send(MESSAGE)
        assert (result.outcome, result.retry_after_seconds) == (Outcome.RETRY, 0)
        inbox.hang_up = False
        assert (await sender(inbox.port).send(MESSAGE)).outcome is Outcome.DELIVERED
    assert len({mail["Message-ID"] for _, mail in inbox.mails}) == 1


# --- answers ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "said", "outcome", "error"), [
    ("RCPT", "550 5.1.1 <anna@example.com> no such user", Outcome.REFUSED, "550 5.1.1"),
    ("RCPT", "553 bad mailbox name", Outcome.REFUSED, "553"),
    ("RCPT", "450 4.2.0 greylisted, try again", Outcome.RETRY, "450 4.2.0"),
    ("RCPT", "452 4.2.2 mailbox full", Outcome.RETRY, "452 4.2.2"),
    ("DATA", "554 5.7.1 looks like spam", Outcome.REFUSED, "554 5.7.1"),
    ("DATA", "552 5.3.4 too large", Outcome.REFUSED, "552 5.3.4"),
    ("DATA", "451 4.3.0 try later", Outcome.RETRY, "451 4.3.0"),
    ("MAIL", "451 4.3.0 try later", Outcome.RETRY, "451 4.3.0"),
])
async def test_5xx_is_final_and_4xx_is_for_later_and_no_address_is_kept(verb, said, outcome, error):
    async with server(Inbox(answers={verb: said})) as inbox:
        result = await sender(inbox.port).send(MESSAGE)
    assert result == SendResult(outcome, error=error)


async def test_a_sender_that_is_not_allowed_is_our_fault_and_the_channel_rests():
    async with server(Inbox(answers={"MAIL": "550 5.7.1 not your domain"})) as inbox:
        result = await sender(inbox.port).send(MESSAGE)
    assert result == SendResult(Outcome.RETRY, error="SMTPSenderRefused 550 5.7.1", retry_after_seconds=60)


def test_every_error_of_the_library_has_a_meaning():
    import aiosmtplib

    for error in (aiosmtplib.SMTPServerDisconnected("x"), aiosmtplib.SMTPTimeoutError("x"), aiosmtplib.SMTPNotSupported("x")):
        assert outcome_of(error).outcome is Outcome.RETRY


@pytest.mark.parametrize(("text", "shown"), [
    ("no-reply@example.com", "no-reply@example.com"), ("企服券 <no-reply@example.com>", "企服券 <no-reply@example.com>"),
])
def test_a_sender_is_an_address_with_or_without_a_name(text, shown):
    assert str(sender_of(text)) == shown


@pytest.mark.parametrize("text", ["", "企服券", "企服券 <nobody>", "a@example.com, b@example.com", "x\r\nBcc: b@c.cn <a@b.cn>"])
def test_what_is_no_sender_is_refused(text):
    with pytest.raises(ValueError, match="not a sender"):
        sender_of(text)


def test_the_url_says_where_how_and_as_whom():
    assert Server.of("smtps://robot%40x.cn:p%2Fw@mx.example.com", "required") == Server(
        "mx.example.com", 465, "implicit", "robot@x.cn", "p/w"
    )
    assert Server.of("smtp://mx.example.com", "required") == Server("mx.example.com", 587, "starttls", None, None)
    assert Server.of("smtp://127.0.0.1:8025", "off") == Server("127.0.0.1", 8025, "off", None, None)


# --- the simulator's server --------------------------------------------------------------------------------------------------


async def test_in_development_a_mail_appears_on_the_page_of_its_mailbox(tmp_path):
    app = create_app(
        clock_file=tmp_path / "clock", wechat_appid="wx", wechat_secret="s", dingtalk_appkey="d", dingtalk_appsecret="s", agent_id=1,
        templates=[], pages=[], smtp_port=0,
    )
    async with TestClient(TestServer(app)) as client:
        ours = sender(app[SMTP_PORT])
        assert (await ours.send(MESSAGE)).outcome is Outcome.DELIVERED
        assert (await ours.send(MESSAGE)).outcome is Outcome.DELIVERED
        async with client.get("/control/phones/anna@example.com/messages") as response:
            first, again = (await response.json())["messages"]
        assert (first["title"], first["kind"]) == ("【企服券】审核结果：审核通过", "mail")
        assert first["link"] == f"{URL}/go/pages/applications/show?id=7"
        assert [label for label, _ in again["fields"]] == ["", "重复"]
        async with client.get("/") as response:
            page = await response.text()
        assert "anna@example.com" in page
        assert "【企服券】审核结果：审核通过" in page
        refusal = {"answer": "550 5.1.1 no such user"}
        async with client.post("/control/mailboxes/anna@example.com/answer", json=refusal) as response:
            assert response.status == 200
        assert await ours.send(MESSAGE) == SendResult(Outcome.REFUSED, error="550 5.1.1")
