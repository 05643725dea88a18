"""Refusals are part of the product: a kind, a stable code, a Chinese title for the person, and data for the program.

No HTTP in here: `miniapp_api` turns the kind into a status, the bot into a sentence, the jobs into "do not retry".
Everything else that is raised is a bug.
"""

from enum import StrEnum
from typing import Any, ClassVar


class Kind(StrEnum):
    INVALID = "invalid"            # what was asked cannot be, whoever asks
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"        # you may not
    NOT_FOUND = "not_found"        # not there, or not yours: the answer is the same
    CONFLICT = "conflict"          # not now: the state of things is another
    TOO_MANY = "too_many"          # later
    UNAVAILABLE = "unavailable"    # something that we need is away


class Refusal(Exception):  # noqa: N818 - it is the word of the house
    """`data` is JSON: numbers, strings, lists of what the phone may show or act on; never a secret, never an echo of input."""

    kind: ClassVar[Kind]
    code: ClassVar[str]
    title: ClassVar[str]
    known: ClassVar[dict[str, type["Refusal"]]] = {}

    def __init__(self, **data: Any) -> None:
        super().__init__(self.code)
        self.data = data

    def __init_subclass__(cls) -> None:
        if "code" in cls.__dict__:
            other = Refusal.known.setdefault(cls.code, cls)
            assert other is cls or other.__qualname__ == cls.__qualname__, f"two refusals share the code {cls.code}"


class NotFound(Refusal):
    """The same for what is not there, what is deleted, and what is somebody else's."""

    kind, code, title = Kind.NOT_FOUND, "not_found", "没有找到"


class NotYourRole(Refusal):
    kind, code, title = Kind.FORBIDDEN, "not_your_role", "当前身份不能进行此操作"


class Busy(Refusal):
    """A lock or a connection was not to be had in time; nothing has happened."""

    kind, code, title = Kind.UNAVAILABLE, "busy", "系统繁忙，请稍后再试"


class StorageAway(Refusal):
    """The storage of files does not answer, or not as it should; what was begun is swept up later."""

    kind, code, title = Kind.UNAVAILABLE, "storage_unavailable", "文件服务暂时不可用，请稍后再试"


class SecondPersonNeeded(Refusal):
    kind, code, title = Kind.FORBIDDEN, "second_person_needed", "须由另一位工作人员确认，不能由同一人办理"


class ChangedMeanwhile(Refusal):
    kind, code, title = Kind.CONFLICT, "changed_meanwhile", "内容已被更新，请刷新后重试"
