"""Personal values at rest: sealed with a key ring, found by blind index, masked when shown (docs/decisions/0020).

A sealed value is `version | cipher | length of key id | key id | nonce (12) | ciphertext | tag (16)`; everything before the nonce
is authenticated with it, so no byte can be changed unnoticed.
"""

import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from settings import RING_KEY, Settings

log = structlog.get_logger(__name__)

VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16


class SealBrokenError(Exception):
    """A stored value does not open: changed bytes, a key that is not in the ring, or not a sealed value at all."""


@dataclass(frozen=True, slots=True)
class _CipherKind:
    number: int  # as written into every blob: never renumber
    algorithm: Callable[[bytes], BlockCipherAlgorithm]
    key_bytes: int


CIPHERS: Mapping[str, _CipherKind] = {
    "aes-256-gcm": _CipherKind(1, algorithms.AES, 32),
    "sm4-gcm": _CipherKind(2, algorithms.SM4, 16),  # GB/T 32907, where GB/T 39786 is assessed
}
_BY_NUMBER = {kind.number: name for name, kind in CIPHERS.items()}


@dataclass(frozen=True)
class KeyRing:
    """The first key seals, all of them open. Keys are kept per cipher: one key never serves two algorithms."""

    first: str
    keys: Mapping[tuple[str, str], bytes]  # (key id, cipher name) -> key


def key_ring(settings: Settings) -> KeyRing:
    """The parsed ring of `settings.personal_keys`. Raises ValueError, without the text, if it is not `id:hex64,…`."""
    return _parsed_ring(settings.personal_keys.get_secret_value())


@lru_cache(maxsize=8)
def _parsed_ring(text: str) -> KeyRing:
    found = [RING_KEY.fullmatch(part.strip()) for part in text.split(",")]
    pairs = [(match[1], bytes.fromhex(match[2])) for match in found if match]
    if len(pairs) != len(found) or len({key_id for key_id, _ in pairs}) != len(pairs):
        raise ValueError("PERSONAL_KEYS must be <id>:<64 hex>[,<id>:<64 hex>...] with different ids")
    keys = {(key_id, name): _derived(secret, name) for key_id, secret in pairs for name in CIPHERS}
    return KeyRing(pairs[0][0], keys)


def _derived(secret: bytes, cipher: str) -> bytes:
    info = f"qifuquan/personal/{cipher}".encode()
    return HKDF(hashes.SHA256(), CIPHERS[cipher].key_bytes, salt=None, info=info).derive(secret)


def current_header(settings: Settings) -> bytes:
    """The first bytes of whatever is sealed now: version, cipher and key."""
    key_id = key_ring(settings).first
    return bytes((VERSION, CIPHERS[settings.personal_cipher].number, len(key_id))) + key_id.encode("ascii")


def _parts(blob: bytes) -> tuple[str, str, bytes, bytes]:
    """(cipher name, key id, header, the rest) of a sealed value."""
    if len(blob) < 3 or blob[0] != VERSION or blob[1] not in _BY_NUMBER:
        raise SealBrokenError("not a sealed value")
    end = 3 + blob[2]
    if len(blob) < end + NONCE_BYTES + TAG_BYTES:
        raise SealBrokenError("a sealed value is cut short")
    return _BY_NUMBER[blob[1]], blob[3:end].decode("ascii", "replace"), blob[:end], blob[end:]


def seal(settings: Settings, text: str) -> bytes:
    """Encrypt with the first key and the cipher of the settings; the same text never gives the same bytes twice."""
    ring, cipher = key_ring(settings), settings.personal_cipher
    header, nonce = current_header(settings), os.urandom(NONCE_BYTES)
    encryptor = Cipher(CIPHERS[cipher].algorithm(ring.keys[ring.first, cipher]), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(header)
    sealed = encryptor.update(text.encode()) + encryptor.finalize()
    return header + nonce + sealed + encryptor.tag


def open_sealed(settings: Settings, blob: bytes) -> str:
    """The text again, whichever key and cipher of the ring sealed it. Raises SealBrokenError; its text holds no data."""
    cipher, key_id, header, rest = _parts(bytes(blob))
    key = key_ring(settings).keys.get((key_id, cipher))
    if key is None:
        raise SealBrokenError("a value was sealed with a key that is no longer in the ring")
    nonce, sealed, tag = rest[:NONCE_BYTES], rest[NONCE_BYTES:-TAG_BYTES], rest[-TAG_BYTES:]
    decryptor = Cipher(CIPHERS[cipher].algorithm(key), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(header)
    try:
        return (decryptor.update(sealed) + decryptor.finalize()).decode()
    except InvalidTag as error:
        raise SealBrokenError("a sealed value was changed") from error


def open_or_skip(settings: Settings, blob: bytes, what: str, row_id: int) -> str | None:
    """For batches: a value that does not open must not hold up those that do. None, and a line in the log with its table and row."""
    try:
        return open_sealed(settings, blob)
    except SealBrokenError as error:
        log.error("seal_broken", what=what, id=row_id, reason=str(error))  # noqa: TRY400 - where it was read says nothing
        return None


def normalise(text: str) -> str:
    """One spelling of a phone, id or account number: half-width, no spaces or hyphens, upper case, no +86."""
    plain = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text)).upper()
    return re.sub(r"^(?:\+|00)86(?=1\d{10}$)", "", plain)


def blind_index(settings: Settings, text: str) -> bytes:
    """32 bytes that are equal for equal values and tell nothing without the key."""
    key = settings.blind_index_key.get_secret_value().encode()
    return hmac.digest(key, normalise(text).encode(), hashlib.sha256)


def mailbox_index(settings: Settings, address: str) -> bytes:
    """The blind index of a mail address, in which a hyphen is a letter and capitals mean nothing."""
    return blind_index(settings, address.strip().lower().encode().hex())


def mask_phone(phone: str) -> str:
    """138****1234."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else _tail(phone, 2)


def mask_name(name: str) -> str:
    """张*, 张**."""
    return name[:1] + "*" * (len(name) - 1) if len(name) > 1 else "*"


def mask_id_number(number: str) -> str:
    """3701**********1234."""
    return f"{number[:4]}{'*' * (len(number) - 8)}{number[-4:]}" if len(number) >= 15 else _tail(number, 4)


def mask_email(address: str) -> str:
    """z****@example.com: the domain is no secret, and people have several mailboxes."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1] if len(name) > 1 else ''}****@{domain}"


def mask_account(number: str) -> str:
    """****8888."""
    return _tail(number, 4)


def _tail(text: str, shown: int) -> str:
    # A short value with its end shown would be the whole value.
    return "****" + (text[-shown:] if len(text) >= 2 * shown else "")
