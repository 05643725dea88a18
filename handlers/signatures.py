"""What we sign and later believe or compare: keys derived from a setting, one for each purpose, so that none serves another."""

import hashlib
import hmac

from settings import Settings


def signature(settings: Settings, purpose: str, message: bytes, length: int = 32) -> bytes:
    """HMAC-SHA256 under the purpose's own key, cut to `length` bytes (12 bytes are 96 bits: nobody guesses those online)."""
    key = hmac.digest(settings.signing_key.get_secret_value().encode(), purpose.encode(), hashlib.sha256)
    return hmac.digest(key, message, hashlib.sha256)[:length]


def is_signature(settings: Settings, purpose: str, message: bytes, given: bytes) -> bool:
    return hmac.compare_digest(signature(settings, purpose, message, len(given)), given)


def key_of_what_is_asked(settings: Settings) -> bytes:
    """Under which the bodies of requests are kept with their answers. Of the pepper, because payment passwords are among them: what
    protects their hashes protects these, and nothing else that is rotated makes a retry a stranger (docs/decisions/0242).
    """
    return hmac.digest(settings.payment_pepper.get_secret_value().encode(), b"qifuquan/what is asked", hashlib.sha256)
