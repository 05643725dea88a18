"""Pushes to the project, as the platforms send them: signed, encrypted, with five seconds for an answer and three tries."""

import asyncio
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import aiohttp

from simulator.clock import Clock
from simulator.push_crypto import decrypt, encrypt, hmac_of, sha1_of

ANSWER_SECONDS, TRIES = 5.0, 3
ENCRYPT = re.compile(r"<Encrypt><!\[CDATA\[(.*?)\]\]></Encrypt>", re.DOTALL)


@dataclass(frozen=True)
class Secrets:
    """Of one message address: its URL, and what the console shows beside it."""

    url: str = ""
    token: str = ""
    aes_key: str = ""


@dataclass(frozen=True)
class Callbacks:
    """Where the project listens. Without URLs nothing is pushed."""

    oa: Secrets = field(default_factory=Secrets)
    miniapp: Secrets = field(default_factory=Secrets)
    events: Secrets = field(default_factory=Secrets)
    robot_url: str = ""
    card_url: str = ""
    card_secret: str = ""


@dataclass
class Pushed:
    """What came of it: the status of the last try, how many there were, and what was answered."""

    status: int | None
    tries: int
    body: str


def to_xml(fields: dict[str, Any]) -> str:
    """WeChat's form: numbers bare, texts in CDATA, lists as repeated elements."""
    def element(name: str, value: Any) -> str:
        if isinstance(value, dict):
            return f"<{name}>{''.join(element(*each) for each in value.items())}</{name}>"
        if isinstance(value, list):
            return "".join(element(name, each) for each in value)
        text = str(value)
        inner = escape(text) if isinstance(value, int) or "]]>" in text else f"<![CDATA[{text}]]>"
        return f"<{name}>{inner}</{name}>"

    return f"<xml>{''.join(element(*each) for each in fields.items())}</xml>"


class Pusher:
    def __init__(self, clock: Clock, callbacks: Callbacks) -> None:
        self._clock, self.callbacks = clock, callbacks
        self.plain = False  # 明文模式
        self.json = False  # of the mini-program's pushes
        self._running: set[asyncio.Task[Any]] = set()

    def seconds(self) -> int:
        return int(self._clock.timestamp())

    def later(self, push: Any) -> None:
        """Push without anybody waiting for it."""
        task = asyncio.create_task(push)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def wechat(self, to: Secrets, key_id: str, fields: dict[str, Any]) -> Pushed:
        if not to.url:
            return Pushed(None, 0, "")
        as_json = self.json and to is self.callbacks.miniapp
        content = json.dumps(fields, ensure_ascii=False) if as_json else to_xml(fields)
        query, body = self.sealed(to, key_id, content, as_json)
        pushed = await self._post(to.url, query, body, {"Content-Type": "application/json" if as_json else "text/xml"})
        found = ENCRYPT.search(pushed.body)
        if found:
            pushed.body, answered_for = decrypt(to.aes_key, found[1])
            assert answered_for == key_id, "the answer is for another app"
        return pushed

    def sealed(self, to: Secrets, key_id: str, content: str, as_json: bool = False) -> tuple[dict[str, str], str]:
        """(query, body) of a push."""
        timestamp, nonce = str(self.seconds()), secrets.token_hex(5)
        query = {"signature": sha1_of(to.token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
        if self.plain:
            return query, content
        encrypted = encrypt(to.aes_key, key_id, content)
        query |= {"encrypt_type": "aes", "msg_signature": sha1_of(to.token, timestamp, nonce, encrypted)}
        wrapped = {"ToUserName": "gh_simulator", "Encrypt": encrypted}
        return query, json.dumps(wrapped) if as_json else to_xml(wrapped)

    async def robot(self, appsecret: str, fields: dict[str, Any]) -> Pushed:
        timestamp = str(int(self._clock.timestamp() * 1_000))
        headers = {"timestamp": timestamp, "sign": hmac_of(appsecret, f"{timestamp}\n{appsecret}"), "Content-Type": "application/json"}
        return await self._post(self.callbacks.robot_url, {}, json.dumps(fields, ensure_ascii=False), headers)

    async def card(self, fields: dict[str, Any], registered: tuple[str, str] | None) -> Pushed:
        """`registered`: the address and the secret of the card's route; without one, those that were given at the start."""
        url, secret = registered or (self.callbacks.card_url, self.callbacks.card_secret)
        timestamp = str(int(self._clock.timestamp() * 1_000))
        headers = {
            "x-ddpaas-signature-timestamp": timestamp, "x-ddpaas-signature": hmac_of(secret, timestamp),
            "Content-Type": "application/json",
        }
        return await self._post(url, {}, json.dumps(fields, ensure_ascii=False), headers)

    async def event(self, appkey: str, fields: dict[str, Any]) -> Pushed:
        """The answer must be `success`, encrypted and signed; anything else counts as none."""
        to, timestamp, nonce = self.callbacks.events, str(self.seconds()), secrets.token_hex(5)
        if not to.url:
            return Pushed(None, 0, "")
        encrypted = encrypt(to.aes_key, appkey, json.dumps(fields, ensure_ascii=False))
        query = {"msg_signature": sha1_of(to.token, timestamp, nonce, encrypted), "timestamp": timestamp, "nonce": nonce}
        pushed = await self._post(to.url, query, json.dumps({"encrypt": encrypted}), {"Content-Type": "application/json"})
        if pushed.status == 200:
            answer = json.loads(pushed.body)
            assert answer["msg_signature"] == sha1_of(to.token, answer["timeStamp"], answer["nonce"], answer["encrypt"])
            pushed.body, answered_for = decrypt(to.aes_key, answer["encrypt"])
            assert answered_for == appkey, "the answer is for another app"
        return pushed

    async def _post(self, url: str, query: dict[str, str], body: str, headers: dict[str, str]) -> Pushed:
        if not url:
            return Pushed(None, 0, "")
        status: int | None = None
        text = ""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as http:
            for tried in range(1, TRIES + 1):
                try:
                    async with http.post(url, params=query, data=body.encode(), headers=headers) as response:
                        status, text = response.status, await response.text()
                except (aiohttp.ClientError, TimeoutError):
                    continue
                if status < 500:
                    return Pushed(status, tried, text)
        return Pushed(status, TRIES, text)
