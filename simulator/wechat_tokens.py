"""Access tokens of the simulated WeChat: two endpoints whose tokens know nothing of each other."""

import secrets
from dataclasses import dataclass

from simulator.state import World
from simulator.wechat_errors import WeChatError

TOKEN_SECONDS = 7_200
RENEWAL_SECONDS = 300  # stable mode: a new token from five minutes before the old one ends, so expires_in >= 300 always
FORCED_PER_DAY = 20
FORCED_SECONDS_APART = 30
SHORTEST_TOKEN = 32  # anything shorter was never one of ours


@dataclass
class Token:
    value: str
    expires_at: float
    replaced_at: float | None = None  # from here on it is "not latest"


class Tokens:
    def __init__(self, world: World) -> None:
        self._world = world
        self._all: dict[str, Token] = {}
        self._plain: Token | None = None
        self._stable: Token | None = None
        self._forced_at: float | None = None

    def _issue(self) -> Token:
        token = Token(secrets.token_urlsafe(96), self._world.clock.timestamp() + TOKEN_SECONDS)
        self._all[token.value] = token
        return token

    def _left(self, token: Token | None) -> int:
        return int(token.expires_at - self._world.clock.timestamp()) if token and token.replaced_at is None else 0

    def plain(self) -> tuple[str, int]:
        """GET cgi-bin/token: each call makes a new token, and the one before it dies after the overlap."""
        if self._world.tally.add("wechat.token", self._world.clock.day()) > self._world.limits.wechat_tokens_per_day:
            raise WeChatError(45009, "reach max api daily quota limit")
        if self._plain and self._plain.replaced_at is None:
            self._plain.replaced_at = self._world.clock.timestamp() + self._world.limits.wechat_token_overlap_seconds
        self._plain = self._issue()
        return self._plain.value, TOKEN_SECONDS

    def stable(self, *, force: bool) -> tuple[str, int]:
        """POST cgi-bin/stable_token: the same token with its remaining seconds until five minutes before its end."""
        left = self._left(self._stable)
        if force and self._may_force():
            if self._stable:
                self._stable.replaced_at = self._world.clock.timestamp()
            self._stable, left = self._issue(), TOKEN_SECONDS
        elif self._stable is None or left < RENEWAL_SECONDS:
            self._stable, left = self._issue(), TOKEN_SECONDS
        return self._stable.value, left

    def _may_force(self) -> bool:
        """20 a day and 30 s apart; a call beyond that is answered as if it had not asked for force."""
        now = self._world.clock.timestamp()
        if self._forced_at is not None and now - self._forced_at < FORCED_SECONDS_APART:
            return False
        if self._world.tally.get("wechat.force", self._world.clock.day()) >= FORCED_PER_DAY:
            return False
        self._world.tally.add("wechat.force", self._world.clock.day())
        self._forced_at = now
        return True

    def knows(self, value: str | None) -> bool:
        return value in self._all

    def check(self, value: str | None) -> None:
        """Raise what the platform answers to a call with this token."""
        if not value:
            raise WeChatError(41001, "access_token missing")
        if len(value) < SHORTEST_TOKEN:
            raise WeChatError(40014, "invalid access_token")
        token = self._all.get(value)
        now = self._world.clock.timestamp()
        if token is None or (token.replaced_at is not None and now >= token.replaced_at):
            raise WeChatError(40001, "invalid credential, access_token is invalid or not latest")
        if now >= token.expires_at:
            raise WeChatError(42001, "access_token expired")

    def expire(self, errcode: int) -> None:
        """Make every token out there answer 42001 (ended) or 40001 (replaced by a newer one)."""
        now = self._world.clock.timestamp()
        for token in self._all.values():
            if errcode == 40001:
                token.replaced_at = now
            token.expires_at = min(token.expires_at, now)
        self._plain = self._stable = None
