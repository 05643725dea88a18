"""Keyset paging: a list continues after the last row seen, however long it is and whatever was added meanwhile."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

import orjson

from handlers.refusals import Kind, Refusal

LIMIT_MAX = 100
View = TypeVar("View")


class CursorUnknown(Refusal):
    kind, code, title = Kind.INVALID, "cursor_unknown", "翻页位置无效，请从第一页重新查看"


class PageView(TypedDict, Generic[View]):
    """`next` goes into `after` of the following request; null on the last page."""

    items: list[View]
    next: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is opaque to the client: the sort key of the last row it has seen."""

    after: str | None = None
    limit: int = 20

    def key(self, shape: type | tuple[type, ...] = int) -> list[Any] | None:
        """The decoded sort key, or None for the first page. Raises CursorUnknown for anything we did not make."""
        if self.after is None:
            return None
        shapes = shape if isinstance(shape, tuple) else (shape,)
        try:
            key = orjson.loads(base64.urlsafe_b64decode(self.after.encode("ascii") + b"=="))
        except (ValueError, binascii.Error) as error:
            raise CursorUnknown from error
        if not isinstance(key, list) or [type(part) for part in key] != list(shapes) or any(
            isinstance(part, int) and not -(2**63) <= part < 2**63 for part in key
        ):
            raise CursorUnknown
        return key


def page_of(found: Sequence[Any], page: Page, view: Callable[[Any], View], key: Callable[[Any], list[Any]]) -> PageView[View]:
    """`found` holds up to `limit + 1` rows: the one more says whether there is a next page."""
    shown = found[: page.limit]
    more = len(found) > page.limit
    after = base64.urlsafe_b64encode(orjson.dumps(key(shown[-1]))).rstrip(b"=").decode() if more else None
    return {"items": [view(row) for row in shown], "next": after}
