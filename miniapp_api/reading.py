"""Reading what a client sends, on the assumption that it is hostile: sizes, times, JSON, query strings, files."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, TypeAdapter, ValidationError

from miniapp_api.problems import BodyTimedOut, BodyTooLarge, NotAcceptingType, invalid, of_validation
from miniapp_api.routing import Upload

INT64 = range(-(2**63), 2**63)
CHUNK_BYTES = 64 * 1024
PARTS_MAX = 10  # of a form: the file and a few fields beside it
# 13793964.0 is an integer to JSON Schema and to many a client, though not to pydantic's strict mode; 1e2 is nobody's amount.
WHOLE_FRACTION = re.compile(rb"[0-9]\.0")


async def read_body(request: web.Request, max_bytes: int, seconds: float) -> bytes:
    """The raw body. Raises NotAcceptingType, BodyTooLarge, BodyTimedOut."""
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise NotAcceptingType
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLarge(max_bytes=max_bytes)
    if request.content.is_eof():  # it came with the head, as nearly all do: nothing to wait for
        whole = request.content.read_nowait()
        if len(whole) > max_bytes:
            raise BodyTooLarge(max_bytes=max_bytes)
        return whole
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLarge(max_bytes=max_bytes)
    except TimeoutError as error:
        raise BodyTimedOut from error
    return bytes(body)


# --- JSON -----------------------------------------------------------------------------------------------------------


class _LaxJsonError(ValueError):
    """JSON that two parsers would read differently; the argument is a code of `problems.MESSAGES`."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise _LaxJsonError("json_repeated_name")
    return names


def _int64(digits: str) -> int:
    if len(digits) > 20 or (number := int(digits)) not in INT64:
        raise _LaxJsonError("int64")
    return number


def _number(digits: str) -> float | int:
    number = float(digits)
    whole = number.is_integer() and "e" not in digits and "E" not in digits
    return _int64(digits.partition(".")[0]) if whole else number


def _no_constant(_: str) -> None:
    raise _LaxJsonError("json_syntax")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_int64, parse_float=_number, parse_constant=_no_constant)


def parse_body(raw: bytes, adapter: TypeAdapter[Any]) -> Any:
    """The validated body. Raises InvalidInput, for whatever the bytes are."""
    try:
        document = DECODER.decode(raw.decode("utf-8"))
    except _LaxJsonError as error:
        raise invalid("body", str(error)) from None
    except RecursionError:
        raise invalid("body", "json_depth") from None
    except ValueError:
        raise invalid("body", "json_syntax") from None
    if b"\\u" in raw:
        _refuse_characters(document)
    if WHOLE_FRACTION.search(raw):
        raw = orjson.dumps(document)
    try:
        body = adapter.validate_json(raw)
    except ValidationError as error:
        raise of_validation(error, "body") from None
    _refuse_numbers_for_moments("body", body, document)
    return body


def _refuse_numbers_for_moments(path: str, value: Any, written: Any) -> None:
    """Dates and instants are written out: pydantic, strict or not, reads "0.5" as half a second after 1970."""
    if isinstance(value, BaseModel):
        for name, part in value.__dict__.items():
            if name in written:
                _refuse_numbers_for_moments(f"{path}.{name}", part, written[name])
    elif isinstance(value, list | tuple):
        for number, (part, each) in enumerate(zip(value, written, strict=False)):
            _refuse_numbers_for_moments(f"{path}.{number}", part, each)
    elif isinstance(value, date) and not (isinstance(written, str) and written[4:5] == "-"):
        raise invalid(path, "datetime_type" if isinstance(value, datetime) else "date_type")


def _refuse_characters(document: Any) -> None:
    """PostgreSQL stores neither NUL nor half a surrogate pair, and JSON can only write them as escapes."""
    todo = [document]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, str) and ("\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
            raise invalid("body", "json_character")


# --- query string ---------------------------------------------------------------------------------------------------


def parse_query(request: web.Request, adapter: TypeAdapter[Any], lists: frozenset[str]) -> Any:
    """The validated query string; a name that is no list may stand there once. Raises InvalidInput."""
    values: dict[str, Any] = {}
    for name, value in request.query.items():
        if "\x00" in value or "\x00" in name:
            raise invalid("query", "json_character")
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise invalid("query", "repeated")
        else:
            values[name] = value
    try:
        query = adapter.validate_python(values, strict=False)
    except ValidationError as error:
        raise of_validation(error, "query") from None
    if any(type(value) is int and value not in INT64 for value in query.__dict__.values()):
        raise invalid("query", "int64")
    _refuse_numbers_for_moments("query", query, values)
    return query


# --- files ----------------------------------------------------------------------------------------------------------


async def open_upload(request: web.Request, max_bytes: int, seconds: float) -> Upload:
    """The part `file` of multipart/form-data, which is what wx.uploadFile and dd.uploadFile send.

    Its bytes are not read yet. Raises NotAcceptingType, BodyTimedOut, InvalidInput.
    """
    if request.content_type != "multipart/form-data":
        raise NotAcceptingType
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline):
            reader = await request.multipart()
            part = await _file_part(reader)
    except TimeoutError as error:
        raise BodyTimedOut from error
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as error:  # the last: headers of a part that are none
        raise invalid("file", "file_missing") from error
    name = unquote(part.filename or "")[-200:].replace("\x00", "")  # aiohttp's client and some phones percent-encode it
    return Upload(name, _chunks(reader, part, max_bytes, deadline))


async def _file_part(reader: MultipartReader) -> BodyPartReader:
    for _ in range(PARTS_MAX):
        part = await reader.next()
        if isinstance(part, BodyPartReader) and part.name == "file":
            return part
    raise ValueError("no part named file")


async def _chunks(reader: MultipartReader, part: BodyPartReader, max_bytes: int, deadline: float) -> AsyncIterator[bytes]:
    received = 0
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await part.read_chunk(CHUNK_BYTES)
                if not chunk:
                    await reader.next()  # finds the boundary after the file, or says that the file was cut off
        except TimeoutError as error:
            raise BodyTimedOut from error
        except (ValueError, AssertionError, HttpProcessingError) as error:
            raise invalid("file", "file_missing") from error
        if not chunk:
            return
        received += len(chunk)
        if received > max_bytes:
            raise BodyTooLarge(max_bytes=max_bytes)
        yield chunk
