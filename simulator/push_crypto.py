"""The platforms' side of signed and encrypted pushes, written from their documentation and not from what it talks to."""

import base64
import hashlib
import hmac
import secrets
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32


def sha1_of(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 - the platforms' protocol


def hmac_of(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _cipher(aes_key: str) -> Cipher[modes.CBC]:
    key = base64.b64decode(aes_key + "=")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def encrypt(aes_key: str, key_id: str, text: str) -> str:
    raw = text.encode()
    content = secrets.token_bytes(16) + struct.pack(">I", len(raw)) + raw + key_id.encode()
    pad = BLOCK - len(content) % BLOCK
    encryptor = _cipher(aes_key).encryptor()
    return base64.b64encode(encryptor.update(content + bytes((pad,)) * pad) + encryptor.finalize()).decode()


def decrypt(aes_key: str, encrypted: str) -> tuple[str, str]:
    """(message, key id at its end) of an answer."""
    decryptor = _cipher(aes_key).decryptor()
    plain = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
    content = plain[: -plain[-1]]
    length = struct.unpack(">I", content[16:20])[0]
    return content[20:20 + length].decode(), content[20 + length:].decode()
