"""What we sign and later believe: keys derived from one setting, one for each purpose, so that no signature serves another."""

import hashlib
import hmac

from settings import Settings


def signature(settings: Settings, purpose: str, message: bytes, length: int = 32) -> bytes:
    """HMAC-SHA256 under the purpose's own key, cut to `length` bytes (12 bytes are 96 bits: nobody guesses those online)."""
    key = hmac.digest(settings.signing_key.get_secret_value().encode(), purpose.encode(), hashlib.sha256)
    return hmac.digest(key, message, hashlib.sha256)[:length]


def is_signature(settings: Settings, purpose: str, message: bytes, given: bytes) -> bool:
    return hmac.compare_digest(signature(settings, purpose, message, len(given)), given)
