"""Every knob of the system, typed, read from the environment or `.env`. A comment says why each value is what it is."""

import ipaddress
import os
import re
from contextlib import suppress
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent

# Known to everybody who can read this file, so production refuses them.
DEVELOPMENT_SECRET = "development-only"  # noqa: S105
DEVELOPMENT_KEY = "dev1:" + "00" * 32
DEVELOPMENT_AES_KEY = "0" * 43  # an EncodingAESKey has 43 characters of base64: 32 bytes
SECRET_LETTERS = 16  # 96 bits of base64, 64 of hex; the platforms' own have 32 and more

# Zero would switch a limit off in one place and refuse everything in another, so it is no value anywhere.
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
Positive = Annotated[int, Field(ge=1)]
SCHEMES = {
    "database_url": ("postgresql://", "postgres://"), "database_owner_url": ("postgresql://", "postgres://"),
    "redis_url": ("redis://", "rediss://", "unix://"), "storage_url": ("s3://", "file:///"),
    "public_url": ("https://", "http://"), "wechat_api_base_url": ("https://", "http://"),
    "dingtalk_api_base_url": ("https://", "http://"), "dingtalk_oapi_base_url": ("https://", "http://"),
    "smtp_url": ("smtp://", "smtps://"), "sms_api_base_url": ("https://", "http://"),
}
# What asyncpg understands after the `?` of a database's URL. Others it would send to the server as settings of the session, where
# `sslmod=verify-full` is an error at best, and `synchronous_commit=off` a payment that was acknowledged and is lost.
DATABASE_PARAMETERS = frozenset({
    "host", "port", "user", "password", "passfile", "dbname", "database", "service", "sslmode", "sslcert", "sslkey", "sslrootcert",
    "sslcrl", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs",
    "krbsrvname", "gsslib",
})
# Values that asyncpg would name only when it connects.
DATABASE_WORDS = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
}
RING_KEY = re.compile(r"([A-Za-z0-9_.-]{1,32}):([0-9A-Fa-f]{64})")
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
# What a value looks like, for whoever mistyped one; others show their default.
EXAMPLES = {
    "database_url": "postgresql://app:p%40ssword@db.example.cn:5432/qifuquan?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "database_owner_url": "postgresql://owner:p%40ssword@db.example.cn:5432/qifuquan",
    "redis_url": "rediss://:p%40ssword@cache.example.cn:6379/0", "storage_url": "s3://bucket/prefix", "public_url": "https://quan.example.cn",
    "smtp_url": "smtps://robot:p%40ssword@mail.example.cn", "personal_keys": "k2:<64 hex>,k1:<64 hex>",
    "wechat_template_ids": '{"order_accepted": "id"}', "wechat_oa_template_ids": '{"order_accepted": "id"}',
    "sms_template_ids": '{"order_accepted": "id"}', "host": "10.0.0.5",
}


class Mode(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


def _local_url(given: dict[str, Any]) -> str:
    """Where this machine reaches the web processes: those that listen on all addresses on loopback too."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(given["host"], given["host"])  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{given['port']}"


class Settings(BaseSettings):
    """Names that stay: DATABASE_URL, REDIS_URL, HOST, PORT, STORAGE_URL, WECHAT_*, DINGTALK_*."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", frozen=True, env_ignore_empty=True,
        extra="forbid",  # of the file, which is ours alone: DATABSE_URL would mean the embedded servers, without a word
        hide_input_in_errors=True,  # a mistyped DATABASE_URL would show its password in the log of the failed start
    )

    mode: Mode = Mode.DEVELOPMENT

    # --- where things are -------------------------------------------------------------------------------------------
    # Unset: embedded PostgreSQL and Valkey under var_dir, shared by all processes of this checkout.
    database_url: SecretStr | None = None
    # Migrations run as the tables' owner. On servers give the application a role of its own that may not change the
    # append-only tables; unset, the application's role does both.
    database_owner_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    storage_url: str | None = None  # s3://bucket/prefix, or file:///path; unset: var_dir/storage
    var_dir: Path = ROOT / "var"

    # --- web ----------------------------------------------------------------------------------------------------------
    host: str = "127.0.0.1"  # a server is published by a reverse proxy, or on purpose
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    # What links and QR codes point to. Unset: host and port, which is right on a developer's machine only.
    public_url: str = Field(default_factory=_local_url)
    web_processes: Annotated[int, Field(ge=1, le=64)] = 2  # one restarts while the other answers
    header_timeout_seconds: Seconds = 10  # aiohttp has none; half-sent requests would stay for ever
    body_timeout_seconds: Seconds = 30  # a 20 MB scan over a slow 4G link: 20 s
    drain_seconds: Seconds = 10  # after SIGTERM; proxies stop sending within a second, uploads get ten
    body_max_bytes: Positive = 64 * 1024  # of JSON; the largest form has 8 KB
    trust_forwarded_for: bool = False  # only behind a proxy that overwrites X-Forwarded-For

    # --- database -----------------------------------------------------------------------------------------------------
    # Of each process: two web processes and the jobs hold 24 together, of the hundred that PostgreSQL has by default.
    database_pool_max: Annotated[int, Field(ge=2, le=100)] = 8
    statement_timeout_ms: Milliseconds = 5_000  # the slowest list takes 50 ms; a batch sets its own
    lock_timeout_ms: Milliseconds = 2_000  # nobody waits longer than this for a row: the phone is told to try again
    idle_in_transaction_timeout_ms: Milliseconds = 5_000  # heals what a killed or frozen process left behind

    hotline: str = ""  # 服务热线 of whoever runs this, told to who is stuck; empty: nothing is said of a telephone

    # --- people and secrets -------------------------------------------------------------------------------------------
    # "<id>:<64 hex>[,<id>:<64 hex>...]": the first key seals, all of them open (key rotation).
    personal_keys: SecretStr = SecretStr(DEVELOPMENT_KEY)
    personal_cipher: Literal["aes-256-gcm", "sm4-gcm"] = "aes-256-gcm"  # sm4-gcm where GB/T 39786 is assessed
    blind_index_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    # Six digits are guessed in a million tries whatever the hash costs: the lock and this pepper protect them, so the
    # hash is argon2id at its smallest recommended memory (19 MiB, two passes, 40-50 ms of one core).
    payment_pepper: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    payment_hash_memory_kib: Annotated[int, Field(ge=8)] = 19_456
    payment_hash_passes: Positive = 2
    # What is signed for a browser and shown to others: rotating badges, form tokens of pages, who has confirmed a phone.
    signing_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    session_days: Positive = 30  # a mini-program signs in silently again; a lost phone is revoked at once

    # --- platforms ----------------------------------------------------------------------------------------------------
    wechat_api_base_url: str = "https://api.weixin.qq.com"
    wechat_appid: str = "wx-development"
    wechat_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    wechat_miniprogram_state: Literal["developer", "trial", "formal"] = "formal"  # which version a tapped message opens
    # Notice kind -> the id that WeChat gave the template in the account's console; others are "tmpl_" + kind.
    wechat_template_ids: dict[str, str] = Field(default_factory=dict)
    dingtalk_api_base_url: str = "https://api.dingtalk.com"
    dingtalk_oapi_base_url: str = "https://oapi.dingtalk.com"
    dingtalk_appkey: str = "ding-development"
    dingtalk_appsecret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    dingtalk_agent_id: Positive = 1
    # Unset: no e-mail, and nobody is asked for an address. smtps://user:password@host speaks TLS from the first byte (465),
    # smtp:// begins in clear and must be able to change to it (587); user and password percent-encoded.
    smtp_url: SecretStr | None = None
    smtp_starttls: Literal["required", "off"] = "required"  # off: a relay on this machine, or the simulator
    mail_from: str = "企服券 <no-reply@qifuquan.invalid>"  # an address whose domain names the server in its SPF and DKIM
    mail_timeout_seconds: Seconds = 20  # a server that greylists or scans may think for ten; less than a sender's 30
    # Unset: no SMS (in development they are log lines). An account of Tencent Cloud SMS, or what speaks like it.
    sms_api_base_url: str = "https://sms.tencentcloudapi.com"
    sms_secret_id: str | None = None
    sms_secret_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    sms_sdk_app_id: str = ""
    sms_sign_name: str = "企服券"
    sms_region: str = "ap-guangzhou"
    # Notice kind -> the id of its approved template; without one a kind is not sent by SMS. bot/sms.py names the parameters.
    sms_template_ids: dict[str, str] = Field(default_factory=dict)

    # --- the bot: an Official Account, what the platforms push to us, and DingTalk's robot ----------------------------
    # Another app than the mini-program, bound to the same open-platform account so that both have one union id.
    wechat_oa_appid: str = "wx-oa-development"
    wechat_oa_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)  # AppSecret of that account: its tokens are its own
    # 公众号后台「服务器配置」: the token (3 to 32 letters and digits) and the EncodingAESKey; the mini-program has its own pair
    # under 消息推送, DingTalk one under 事件订阅.
    wechat_oa_token: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    wechat_oa_aes_key: SecretStr = SecretStr(DEVELOPMENT_AES_KEY)
    wechat_push_token: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    wechat_push_aes_key: SecretStr = SecretStr(DEVELOPMENT_AES_KEY)
    # Plain bodies prove nothing but a token that travels with them; `plain` is for a tunnel to a developer's machine.
    wechat_push_mode: Literal["secure", "plain"] = "secure"
    # Notice kind -> the id of the Official Account's template; others are "oa_tmpl_" + kind.
    wechat_oa_template_ids: dict[str, str] = Field(default_factory=dict)
    dingtalk_event_token: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    dingtalk_event_aes_key: SecretStr = SecretStr(DEVELOPMENT_AES_KEY)
    dingtalk_robot_code: str = ""  # empty: the appkey, as with robots of internal apps
    dingtalk_card_template_id: str = "card-development"
    dingtalk_card_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)  # the apiSecret that the card callback was registered with
    # How DingTalk reaches us: `stream` needs no public address and is what DingTalk recommends; `http` is open either way.
    dingtalk_mode: Literal["stream", "http"] = "stream"
    push_window_seconds: Seconds = 600  # how far a push's timestamp may be off: its three tries take fifteen seconds
    push_store_seconds: Seconds = 0.7  # WeChat waits five, DingTalk 1.2: whatever the database does, we answer within one
    talk_workers: Positive = 8  # sayings in work per jobs process; each holds a connection for some milliseconds
    talk_poll_seconds: Seconds = 0.2  # a person waits for an answer: four fifths of a second are left for it

    platform_timeout_seconds: Seconds = 3  # their slowest documented answer is under one; the user waits for log-in

    # Whether what people write for others is shown only after msg_sec_check or a human has passed it: 《网络安全法》第四十七条, and
    # WeChat's condition for mini-programs with texts of users. Off, it is shown at once.
    content_check: bool = True

    # --- jobs ---------------------------------------------------------------------------------------------------------
    sweep_seconds: Seconds = 1  # how late a timer may be; an idle sweep is one indexed query
    notice_workers: Positive = 8  # in flight per process: also the bound of duplicates when it is killed
    notice_retry_hours: Positive = 48  # a platform that is down over a weekend day still delivers

    # --- development only: refused in production -----------------------------------------------------------------------
    clock_file: Path | None = None  # 8 bytes, a float64 of seconds that this system's time is ahead
    simulator_port: Annotated[int, Field(ge=0, le=65535)] = 8090
    simulator_smtp_port: Annotated[int, Field(ge=0, le=65535)] = 8025

    @model_validator(mode="before")
    @classmethod
    def _names_of_others(cls, values: Any) -> Any:
        """A file that is also handed to the process as its environment has AWS_REGION and the like, for those who read them there."""
        return {name: value for name, value in values.items() if name in cls.model_fields or name.upper() not in os.environ}

    @field_validator(*SCHEMES)
    @classmethod
    def _address_that_we_can_use(cls, value: SecretStr | str | None, info: ValidationInfo) -> SecretStr | str | None:
        address = value.get_secret_value() if isinstance(value, SecretStr) else value
        assert info.field_name
        if address is not None:
            if not address.startswith(schemes := SCHEMES[info.field_name]):
                raise ValueError(f"must start with {' or '.join(schemes)}")
            _check_address(address)
        return value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _database_as_asyncpg_reads_it(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.fragment:
                raise ValueError("has a #, behind which nobody looks")
            _check_database_parameters(parts.query)
        return value

    @field_validator("redis_url")
    @classmethod
    def _number_of_a_redis_database(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts and parts.scheme != "unix" and not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path):
            raise ValueError("ends in something that is no number of a database")
        return value

    @field_validator("host")
    @classmethod
    def _host_alone(cls, value: str) -> str:
        if not _is_host(value):
            raise ValueError("must be one address or name, without scheme or port")
        return value

    @field_validator("personal_keys")
    @classmethod
    def _ring_of_keys(cls, value: SecretStr) -> SecretStr:
        found = [RING_KEY.fullmatch(part.strip()) for part in value.get_secret_value().split(",")]
        if not all(found) or len({key[1] for key in found if key}) != len(found):
            raise ValueError("must be <id>:<64 hex>[,<id>:<64 hex>...] with different ids")
        return value

    @field_validator("wechat_oa_aes_key", "wechat_push_aes_key", "dingtalk_event_aes_key")
    @classmethod
    def _aes_key_of_a_platform(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[A-Za-z0-9+/]{43}", value.get_secret_value()):
            raise ValueError("must be the 43 characters that the platform calls EncodingAESKey")
        return value

    @model_validator(mode="after")
    def _production_is_serious(self) -> Self:
        if self.mode is Mode.PRODUCTION and (problems := self._development_left_overs()):
            raise ValueError("\n".join(["production refuses to start", *(f"{problem}." for problem in problems)]))
        return self

    def _development_left_overs(self) -> list[str]:
        problems = [problem for name in (
            "wechat_secret", "dingtalk_appsecret", "blind_index_key", "payment_pepper", "signing_key", "wechat_oa_secret",
            "wechat_oa_token", "wechat_push_token", "dingtalk_event_token", "dingtalk_card_secret",
        ) for problem in self._weakness(name)]
        problems += self._known_keys()
        problems += [f"{name.upper()} is the development default" for name in (
            "wechat_oa_aes_key", "wechat_push_aes_key", "dingtalk_event_aes_key",
        ) if getattr(self, name).get_secret_value() == DEVELOPMENT_AES_KEY]
        if self.wechat_push_mode != "secure":
            problems.append("WECHAT_PUSH_MODE is not secure: whoever reads one push could write the next")
        problems += [f"{name.upper()} is not set (embedded servers are for development)" for name in ("database_url", "redis_url")
                     if getattr(self, name) is None]
        problems += [f"{name.upper()} is not https: the simulator is for development" for name in (
            "wechat_api_base_url", "dingtalk_api_base_url", "dingtalk_oapi_base_url", "public_url",
        ) if not getattr(self, name).startswith("https://")]
        problems += self._channels_left_over()
        if self.wechat_miniprogram_state != "formal":
            problems.append("WECHAT_MINIPROGRAM_STATE is not formal: messages would open an unreleased version")
        if self.clock_file is not None:
            problems.append("CLOCK_FILE moves the time")
        return problems

    def _weakness(self, name: str) -> list[str]:
        """A secret that others know, or find by trying."""
        secret = getattr(self, name).get_secret_value()
        if secret == DEVELOPMENT_SECRET:
            return [f"{name.upper()} is the development default"]
        return [f"{name.upper()} has fewer than {SECRET_LETTERS} characters"] if len(secret) < SECRET_LETTERS else []

    def _known_keys(self) -> list[str]:
        """Also behind others: what is in the ring opens, and the first of it may be left over from a test."""
        if self.personal_keys.get_secret_value() == DEVELOPMENT_KEY:
            return ["PERSONAL_KEYS is the development default"]
        return [f"PERSONAL_KEYS contains a key of zeros ({key_id.strip()}), which everybody knows" for key_id, _, key in (
            part.partition(":") for part in self.personal_keys.get_secret_value().split(",")
        ) if not key.strip().strip("0")]

    def _channels_left_over(self) -> list[str]:
        """Only of channels that are on."""
        problems = []
        if self.smtp_url is not None and self.mail_from.endswith(".invalid>"):
            problems.append("MAIL_FROM is the development default")
        if self.smtp_url is not None and self.smtp_starttls == "off" and self.smtp_url.get_secret_value().startswith("smtp://"):
            problems.append("SMTP_STARTTLS is off: mails and the password would travel in clear")
        if self.sms_secret_id is not None:
            problems += self._weakness("sms_secret_key")
            if not self.sms_api_base_url.startswith("https://"):
                problems.append("SMS_API_BASE_URL is not https: the simulator is for development")
        return problems

    @property
    def local_url(self) -> str:
        return _local_url({"host": self.host, "port": self.port})

    @property
    def stop_seconds(self) -> float:
        """How long a process that is told to end may take. The jobs and the cleaning up need ten seconds whatever a request may."""
        return max(self.drain_seconds, 10) + 5


def _is_host(name: str) -> bool:
    if ":" not in name:
        return HOST_NAME.fullmatch(name) is not None
    with suppress(ValueError):
        return bool(ipaddress.IPv6Address(name.removeprefix("[").removesuffix("]")))
    return False


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # its text has the address, and that a password
        raise ValueError("cannot be read as a URL: [ and ] stand around an IPv6 address only") from None


def _check_address(address: str) -> None:
    """Of several hosts each; never with a word of the address in what is said. Raises ValueError."""
    parts = _split(address)
    user, _, hosts = parts.netloc.rpartition("@")
    if "@" in user:
        raise ValueError("has two @: within a user or a password it is written %40")
    for host in hosts.split(",") if hosts else ():
        name, port = re.fullmatch(r"(\[[^]]*\]|[^:]*)(?::(.*))?", host, re.DOTALL).groups()  # type: ignore[union-attr] # it always does
        if port is not None and not (re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) and 0 < int(port) < 65_536):
            raise ValueError("has a port that is no number from 1 to 65535. Within a password / ? # : @ are written %2F %3F %23 %3A %40")
        if (name or port is not None) and not _is_host(name):
            raise ValueError("has a host that is no name or address. Within a password / ? # : @ are written %2F %3F %23 %3A %40")
    if parts.scheme in ("postgresql", "postgres", "redis", "rediss", "smtp", "smtps") and "@" in parts.path + parts.query + parts.fragment:
        raise ValueError("has an @ behind its host. Within a password / ? # : @ are written %2F %3F %23 %3A %40")
    if not hosts and parts.scheme not in ("postgresql", "postgres", "unix", "file"):
        raise ValueError("has no host")


def _check_database_parameters(query: str) -> None:
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise ValueError("has something behind the ? that is no name=value") from None
    if unknown := sorted(given.keys() - DATABASE_PARAMETERS):
        shown = [name for name in unknown if re.fullmatch(r"[A-Za-z_]{1,40}", name)] or ["(no name)"]
        raise ValueError(f"has unknown parameters: {', '.join(shown)}. Known are: {', '.join(sorted(DATABASE_PARAMETERS))}")
    for name, words in DATABASE_WORDS.items():
        if name in given and given[name] not in words:
            raise ValueError(f"has a {name} that is none of {', '.join(words)}")
    if not re.fullmatch(r"([0-9]{1,5}(,[0-9]{1,5})*)?", given.get("port", "")):
        raise ValueError("has a port that is no number")


@cache
def load() -> Settings:
    return Settings()
