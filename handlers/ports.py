"""What the rules need of the outside world. Implemented in bot/ (WeChat, DingTalk), told apart only by the base URLs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PlatformUser:
    """Who a platform says this is. `union_id` is there only if the apps are bound together."""

    app_id: str
    open_id: str
    union_id: str | None


class LoginRefusedError(Exception):
    """The platform does not know the code: expired, used, or never its own. Not retried."""


class PlatformDownError(Exception):
    """The platform did not answer properly in time. Nothing is known; try again."""


class Login(Protocol):
    async def exchange(self, code: str) -> PlatformUser:
        """Exchange a one-time log-in code. Raises LoginRefusedError, PlatformDownError."""

    async def phone(self, code: str, open_id: str) -> str:
        """The phone number that the user of `open_id` agreed to give, e.g. 13800138000. Same errors."""


class Outcome(StrEnum):
    DELIVERED = "delivered"    # the platform took it and that is all we shall ever hear
    ACCEPTED = "accepted"      # taken; the result must be asked for with `receipt`
    NO_CONSENT = "no_consent"  # 43101 and its like: normal, next channel
    REFUSED = "refused"        # terminal: retrying cannot help
    RETRY = "retry"            # later: busy, throttled, down


@dataclass(frozen=True, slots=True)
class SendResult:
    outcome: Outcome
    provider_id: str | None = None
    error: str | None = None           # code and short text; never a token, never a body
    retry_after_seconds: float = 0
    about_reader: bool = False         # the wait is for this person alone; the channel goes on


@dataclass(frozen=True, slots=True)
class Message:
    """One notice for one person on one channel. `fields` are plain texts by name; the channel's template fits them.

    `open_id` is who the channel knows: a user of a platform, a mailbox, or a phone number.
    """

    kind: str
    open_id: str
    title: str
    body: str
    page: str
    fields: dict[str, str] = field(default_factory=dict)
    reference: str = ""  # makes the content of each message its own (DingTalk drops repeats)
    sent_at: datetime | None = field(default=None, compare=False)


class Sender(Protocol):
    async def send(self, message: Message) -> SendResult:
        """Hand over one message. Never raises for what the platform says; that is the result."""

    async def receipt(self, provider_id: str) -> SendResult:
        """What became of an accepted message: DELIVERED, REFUSED, or RETRY while it is not known."""


class Codes(Protocol):
    async def draw(self, scene: str, page: str) -> bytes:
        """The picture of a mini-program code that opens `page` with `scene`. Raises PlatformDownError, also for what is refused."""


class Recaller(Protocol):
    async def recall(self, provider_id: str) -> SendResult:
        """Take a message back from its reader: DELIVERED when it is gone, REFUSED when it stays, or RETRY."""


@dataclass(frozen=True, slots=True)
class SettledCase:
    """A case that is over, as everybody's card tells it. `decided_by` is masked, and None for who withdrew it."""

    approval_id: int
    title: str
    applicant: str
    submitted_at: datetime
    due_at: datetime
    state: str
    decided_at: datetime
    decided_by: str | None


class Cards(Protocol):
    async def settle(self, track_id: str, case: SettledCase) -> SendResult:
        """Take the buttons off a card and say what became of its case: DELIVERED, REFUSED (the card is gone), or RETRY."""


class Suggest(StrEnum):
    """What a content check advises. UNKNOWN is no verdict: the platform was away, or does not judge texts of this person now."""

    PASS = "pass"  # noqa: S105 - the platform's word
    REVIEW = "review"
    RISKY = "risky"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`label` is the platform's number for what it found (100: nothing), `trace_id` its name of this check.

    `error`: code and short text of an UNKNOWN; never a token, never the text.
    """

    suggest: Suggest
    label: int | None = None
    trace_id: str | None = None
    error: str | None = None


class ContentCheck(Protocol):
    async def check(self, open_id: str, scene: int, text: str) -> Verdict:
        """Judge a text of a user of the mini-program, up to 2,500 characters. `scene`: 1 profile, 2 comment, 3 forum, 4 log.

        Never raises for what the platform says or does not say; that is the verdict.
        """


class NoContentCheck:
    """Where no platform judges: every text is for a human."""

    async def check(self, open_id: str, scene: int, text: str) -> Verdict:
        del open_id, scene, text
        return Verdict(Suggest.UNKNOWN, error="no content check")


class Storage(Protocol):
    """Each raises StorageAway if the storage cannot be asked."""

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store a stream under a new key; nothing is left behind if the stream fails."""

    def get(self, key: str) -> AsyncIterator[bytes]:
        """The bytes of a key, in chunks. Raises FileNotFoundError."""

    async def delete(self, key: str) -> None:
        """Remove a key; no error if it is not there."""


@dataclass(frozen=True, slots=True)
class SceneCode:
    """A QR code that opens the Official Account: what is in it, and where the platform shows its picture."""

    url: str
    image_url: str


class Scenes(Protocol):
    async def make(self, scene: str, seconds: int) -> SceneCode | None:
        """A temporary code whose scan tells us `scene`. None while the platform does not answer: there are other ways to bind."""


@dataclass(frozen=True, slots=True)
class Ports:
    """`logins` by platform (wechat, dingtalk), `senders` and `recallers` by channel; a channel that is not there is off."""

    logins: dict[str, Login]
    senders: dict[str, Sender]
    storage: Storage
    codes: Codes | None = None  # where WeChat is set up
    recallers: dict[str, Recaller] = field(default_factory=dict)
    content_check: ContentCheck = field(default_factory=NoContentCheck)
    scenes: Scenes | None = None
    cards: Cards | None = None  # where a platform has interactive cards
