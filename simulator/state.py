"""What the simulated platforms remember: people, the codes they were given, what their phones received, counted calls."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

from simulator.clock import Clock

Platform = Literal["wechat", "wechat_oa", "dingtalk", "email", "sms"]
CodeKind = Literal["login", "phone"]
FILE_SECONDS = 3 * 86_400
CODE_SECONDS = 300  # both platforms: a code lives five minutes


@dataclass
class Limits:
    """Quotas that `POST /control/limits` can change. Checked against the platforms' pages in mid-2026."""

    wechat_logins_per_user_minute: int = 100  # 45011
    wechat_tokens_per_day: int = 2_000  # 45009, GET cgi-bin/token
    wechat_token_overlap_seconds: int = 300  # how long a replaced token still works
    wechat_sends_per_day: int = 10_000_000  # 45009
    wechat_send_seconds: float = 0.005  # real time; a second send to the same person meanwhile gets 43108
    wechat_codes_per_minute: int = 5_000  # 45009, getwxacodeunlimit
    wechat_links_per_second: int = 100  # 44990
    wechat_checks_per_minute: int = 4_000  # 44991, msg_sec_check
    dingtalk_calls_per_second: int = 20  # 90018, of one app to one API
    dingtalk_calls_per_month: int = 0  # 90020; 5,000 in the standard edition, 0 means unlimited
    dingtalk_calls_per_ip: int = 10_000  # in 20 s, then five minutes of ban pages
    dingtalk_messages_per_user_day: int = 500  # 143105, silent
    dingtalk_recipients_per_minute: int = 5_000  # 143103, silent
    dingtalk_delivery_seconds: float = 0.0  # simulated time until a work notice is through
    sms_per_number_30_seconds: int = 1  # LimitExceeded.PhoneNumberThirtySecondLimit
    sms_per_number_hour: int = 5  # LimitExceeded.PhoneNumberOneHourLimit
    sms_per_number_day: int = 10  # LimitExceeded.PhoneNumberDailyLimit


@dataclass
class Message:
    """One thing that appeared on a phone. `fields` are (label, value) pairs in the order shown."""

    id: int
    at: str
    kind: str
    title: str
    fields: list[tuple[str, str]]
    link: str
    raw: dict[str, Any]
    recalled: bool = False


@dataclass
class Phone:
    """One person with one app. `id` is the openid (WeChat) or the userid (DingTalk); or a mailbox or number that was written to."""

    id: str
    name: str
    platform: Platform
    unionid: str | None
    mobile: str
    country_code: int | str
    last_used: float
    session_key: str = ""
    in_flight: bool = False
    flow_controlled: bool = False
    consents: dict[str, int] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    is_following: bool = False  # of an Official Account
    tags: set[int] = field(default_factory=set)
    windows: dict[str, tuple[int, float]] = field(default_factory=dict)  # of customer-service messages: (left, until)


@dataclass
class Code:
    phone: Phone
    kind: CodeKind
    expires_at: float
    used: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def derived(*parts: str, length: int) -> str:
    """The same name gets the same id after a restart, so that a kept database still knows its people."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:length]


def person_id(platform: Platform, app_id: str, name: str) -> str:
    """The openid (28 characters, as real ones) or userid that the person of this name has in this app."""
    if platform in ("wechat", "wechat_oa"):
        return "o" + derived("openid", app_id, name, length=27)
    return "u" + hashlib.sha256(f"userid\n{app_id}\n{name}".encode()).hexdigest()[:15]


def default_mobile(name: str) -> str:
    digits = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 10**8
    return f"138{digits:08d}"


class Tally:
    """Counts per fixed window; only the newest window of a name is kept."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[str, int]] = {}

    def add(self, name: str, window: str, amount: int = 1) -> int:
        known, count = self._counts.get(name, ("", 0))
        count = (count if known == window else 0) + amount
        self._counts[name] = (window, count)
        return count

    def get(self, name: str, window: str) -> int:
        known, count = self._counts.get(name, ("", 0))
        return count if known == window else 0


@dataclass(frozen=True)
class SentFile:
    """What somebody sent in a chat, kept for three days under the id by which it can be fetched."""

    phone: Phone
    content: bytes
    expires_at: float


class World:
    """Everything that `POST /control/reset` forgets, and the clock, which it leaves alone."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        self.phones: dict[str, Phone] = {}
        self.codes: dict[str, Code] = {}
        self.tally = Tally()
        self.limits = Limits()
        self.last_number = 0
        self.files: dict[str, SentFile] = {}

    def number(self) -> int:
        self.last_number += 1
        return self.last_number

    def window(self, seconds: int) -> str:
        """The fixed window that this moment falls into, for `Tally`."""
        return str(int(self.clock.timestamp()) // seconds)

    def register(self, platform: Platform, app_id: str, name: str) -> Phone:
        """The phone of this person; registering the same name again finds the same phone."""
        key = person_id(platform, app_id, name)
        if key not in self.phones:
            # Follower and mini-program user of one open-platform account have one union id and two openids.
            unionid = derived("unionid", platform.removesuffix("_oa"), name, length=27)
            self.phones[key] = Phone(key, name, platform, "o" + unionid, default_mobile(name), "86", self.clock.timestamp())
        return self.phones[key]

    def outside(self, platform: Platform, address: str) -> Phone:
        """The mailbox or number of somebody who may have no app at all."""
        if address not in self.phones:
            self.phones[address] = Phone(address, address, platform, None, "", "86", self.clock.timestamp())
        return self.phones[address]

    def person(self, platform: Platform, key: object) -> Phone | None:
        phone = self.phones.get(key) if isinstance(key, str) else None
        return phone if phone and phone.platform == platform else None

    def mint(self, phone: Phone, kind: CodeKind, **extra: Any) -> str:
        """A fresh single-use code. Whoever gets one has the mini-program open at this moment."""
        phone.last_used = self.clock.timestamp()
        code = secrets.token_hex(16)
        self.codes[code] = Code(phone, kind, phone.last_used + CODE_SECONDS, extra=extra)
        return code

    def keep_file(self, phone: Phone, content: bytes) -> str:
        key = secrets.token_urlsafe(32)
        self.files[key] = SentFile(phone, content, self.clock.timestamp() + FILE_SECONDS)
        return key

    def file(self, key: object, platform: str) -> SentFile | None:
        """None: never there, over, or sent to another app."""
        found = self.files.get(key) if isinstance(key, str) else None
        return found if found and found.phone.platform == platform and self.clock.timestamp() < found.expires_at else None

    def code(self, key: object, platform: Platform, kind: CodeKind) -> Code | None:
        code = self.codes.get(key) if isinstance(key, str) else None
        return code if code and code.kind == kind and code.phone.platform == platform else None

    def deliver(
        self, phone: Phone, kind: str, title: str, fields: list[tuple[str, str]], link: str, raw: dict[str, Any]
    ) -> Message:
        message = Message(self.number(), self.clock.now().isoformat(), kind, title, fields, link, raw)
        phone.messages.append(message)
        return message
