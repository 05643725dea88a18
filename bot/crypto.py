"""Is a push from the platform, and what does it say: signatures in constant time, and one error whatever is wrong.

The cipher is wechatpy's. Its own checks are not used: it compares signatures with `!=`, believes any padding, and answers broken
input with whatever breaks first (struct.error, IndexError, UnicodeDecodeError, an assertion).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from wechatpy.crypto.base import BasePrpCrypto

BLOCK = 32  # PKCS#7 with blocks of 32 bytes, twice those of AES
HEAD = 16 + 4  # random bytes, then the length of the message
ROBOT_SECONDS = 3_600  # DingTalk's own limit for robots and cards


class PushRefusedError(Exception):
    """Not from the platform, or not for us. `reason` is one word for our log; the sender hears nothing but 403."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Sealed:
    """What goes into an encrypted answer."""

    encrypt: str
    signature: str
    timestamp: str
    nonce: str


def signature_of(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 - the platforms' protocol


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


class _Cipher(BasePrpCrypto):  # type: ignore[misc]  # wechatpy has no types
    """wechatpy's, with random bytes that nobody can guess in front of each message."""

    def __init__(self, key: bytes, random: str | None = None) -> None:
        super().__init__(key)
        self._random = random

    def get_random_string(self) -> str:
        return self._random or secrets.token_hex(8)


class PushCrypto:
    """`key_id` is the appid (WeChat) or the appkey (DingTalk) that stands at the end of every message."""

    def __init__(self, token: str, aes_key: str, key_id: str) -> None:
        self._token, self._key_id = token, key_id
        self._key = base64.b64decode(aes_key + "=")

    def check_plain(self, signature: str, timestamp: str, nonce: str) -> None:
        """The signature of URL verification and of plain pushes: it says nothing of a body."""
        if not same(signature, signature_of(self._token, timestamp, nonce)):
            raise PushRefusedError("signature")

    def open(self, signature: str, timestamp: str, nonce: str, encrypted: str) -> bytes:
        """The message behind `Encrypt`, whose own signature this must be. Raises PushRefusedError, and nothing else."""
        try:
            expected = signature_of(self._token, timestamp, nonce, encrypted)
        except UnicodeEncodeError:
            raise PushRefusedError("malformed") from None
        if not same(signature, expected):
            raise PushRefusedError("signature")
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise PushRefusedError("malformed") from None
        if not sealed or len(sealed) % 16:
            raise PushRefusedError("malformed")
        return self._read(_Cipher(self._key).cipher.decrypt(sealed))

    def _read(self, plain: bytes) -> bytes:
        padding = plain[-1]
        if not 1 <= padding <= BLOCK or plain[-padding:] != bytes((padding,)) * padding or len(plain) - padding < HEAD:
            raise PushRefusedError("padding")
        content = plain[:-padding]
        end = HEAD + int.from_bytes(content[16:HEAD], "big")
        if end > len(content):
            raise PushRefusedError("length")
        # A message for another app, sealed by somebody who knows our key: a key that two apps share.
        if not hmac.compare_digest(content[end:], self._key_id.encode()):
            raise PushRefusedError("app")
        return content[HEAD:end]

    def seal(self, text: str, timestamp: str, nonce: str, random: str | None = None) -> Sealed:
        """An answer. `random`: sixteen characters, for a test that knows what must come out."""
        encrypt = _Cipher(self._key, random)._encrypt(text, self._key_id).decode()  # noqa: SLF001 - wechatpy's own subclasses call it so
        return Sealed(encrypt, signature_of(self._token, timestamp, nonce, encrypt), timestamp, nonce)


def check_moment(timestamp: str, now: datetime, window_seconds: float, unit_seconds: float = 1) -> None:
    """A push that was caught and is sent again later, or one from a clock that is wrong. Raises PushRefusedError."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 15):
        raise PushRefusedError("timestamp")
    if abs(now.timestamp() - int(timestamp) * unit_seconds) > window_seconds:
        raise PushRefusedError("stale")


def robot_signature(secret: str, timestamp: str) -> str:
    """DingTalk's robot signs the moment alone, with the app's secret: who sends is proved, not what."""
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def card_signature(secret: str, timestamp: str) -> str:
    digest = hmac.new(secret.encode(), timestamp.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def check_robot(given: str, timestamp: str, secret: str, now: datetime) -> None:
    """Headers `timestamp` (milliseconds) and `sign`. Raises PushRefusedError."""
    check_moment(timestamp, now, ROBOT_SECONDS, 0.001)
    if not same(given, robot_signature(secret, timestamp)):
        raise PushRefusedError("signature")


def check_card(given: str, timestamp: str, secret: str, now: datetime) -> None:
    """Headers `x-ddpaas-signature-timestamp` (milliseconds) and `x-ddpaas-signature`. Raises PushRefusedError."""
    check_moment(timestamp, now, ROBOT_SECONDS, 0.001)
    if not same(given, card_signature(secret, timestamp)):
        raise PushRefusedError("signature")
