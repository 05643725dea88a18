"""What is said to the bot and what it answers, whatever the platform: the seam between the callbacks and the conversation."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from models.accounts import Platform


class Said(StrEnum):
    TEXT = "text"    # somebody wrote; `text`
    MENU = "menu"    # a menu entry or a shortcut was tapped; `text` is its key
    CARD = "card"    # a button of an interactive card; `text` is the action's token, `values` what was typed beside it
    FILE = "file"    # a picture or a file, taken in already: `values` has `attachment_id` and its `name`


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing that somebody said, already verified, parsed, and seen for the first time.

    `in_group`: others read along, so an answer holds masked data only. `text` is as typed; it is never logged.
    """

    platform: Platform
    app_id: str
    open_id: str
    kind: Said
    text: str
    message_id: str
    at: datetime
    in_group: bool = False
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Button:
    """`action` is said back as Said.CARD (cards) or typed by the person (`phrase`) where there are no cards."""

    title: str
    action: str
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. Plain text, unescaped: the channel escapes and splits it. `page` is a mini-program page with its query.

    `card_key`: an interactive card of this key is made, or the one with the key is brought up to date, for everybody who has it.
    `is_over`: the card says already what became of its matter. `private`: in a group, only for who asked.
    """

    text: str
    title: str = ""
    page: str = ""
    buttons: tuple[Button, ...] = ()
    card_key: str = ""
    is_over: bool = False
    private: bool = False
