"""Pushes as they come, XML or JSON, into one flat form. Whatever the bytes are, there is a dict or a MalformedPushError."""

from typing import Any
from xml.parsers import expat

import orjson

DEPTH_MAX, ELEMENTS_MAX = 6, 300  # the deepest push has four levels, the longest forty elements
LISTS = {
    "subscribe_msg_popup_event": "SubscribeMsgPopupEvent", "subscribe_msg_change_event": "SubscribeMsgChangeEvent",
    "subscribe_msg_sent_event": "SubscribeMsgSentEvent",
}


class MalformedPushError(Exception):
    """Not a push: the sender hears 400."""


def read_push(raw: bytes) -> dict[str, Any]:
    """A push of WeChat: XML, or JSON where the mini-program is set to it. The first byte that means something tells which."""
    start = raw.lstrip()[:1]
    return read_json(raw) if start == b"{" else flattened(read_xml(raw))


def read_json(raw: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise MalformedPushError from None
    if not isinstance(found, dict):
        raise MalformedPushError
    return found


class _Tree:
    """Elements into dicts: an element with children is a dict, one without is its text, repeated ones are a list."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._stack: list[tuple[str, dict[str, Any], list[str]]] = []
        self._elements = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS_MAX or len(self._stack) >= DEPTH_MAX:
            raise MalformedPushError
        self._stack.append((name, {}, []))

    def end(self, _: str) -> None:
        name, children, text = self._stack.pop()
        parent = self._stack[-1][1] if self._stack else self.root
        value = children or "".join(text)
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def text(self, data: str) -> None:
        if self._stack:
            self._stack[-1][2].append(data)

    def refuse(self, *_: object) -> None:
        """A document type: its entities could grow without end or read our files."""
        raise MalformedPushError


def read_xml(raw: bytes) -> dict[str, Any]:
    """The children of the one element <xml>. UTF-8 whatever the document claims; no document type, no entities of its own."""
    tree = _Tree()
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = tree.start, tree.end, tree.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = tree.refuse
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, ValueError):
        raise MalformedPushError from None
    found = tree.root.get("xml")
    if not isinstance(found, dict):
        raise MalformedPushError
    return found


def flattened(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has `List` where XML has an element of the event's name around it."""
    wrapper = fields.get(LISTS.get(word(fields, "Event"), ""))
    return {**fields, "List": wrapper.get("List")} if isinstance(wrapper, dict) else fields


def word(fields: dict[str, Any], name: str) -> str:
    """A field as text: numbers come as numbers and as strings, and what is neither is not there. No NUL: PostgreSQL takes none."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).replace("\0", "")


def listed(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """`List` is an object when there is one item, and an array when there are several."""
    found = fields.get("List")
    items = found if isinstance(found, list) else [found]
    return [item for item in items if isinstance(item, dict)]
