"""Refusals on the wire: RFC 9457 problem documents with a stable `code`, a Chinese `title` and `data`."""

import re
from typing import Any, ClassVar

import orjson
from aiohttp import web
from pydantic import ValidationError

from handlers.refusals import Kind, Refusal

STATUS = {
    Kind.INVALID: 422, Kind.UNAUTHENTICATED: 401, Kind.FORBIDDEN: 403, Kind.NOT_FOUND: 404, Kind.CONFLICT: 409,
    Kind.TOO_MANY: 429, Kind.UNAVAILABLE: 503,
}
OF_ROUTER = {
    404: ("not_found", "没有找到"), 405: ("method_not_allowed", "不支持的请求方法"), 413: ("body_too_large", "提交的内容过大"),
}
MEDIA_TYPE = "application/problem+json"
# A key of the client's may be anything, even a password in the wrong place: only what looks like a field is shown.
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


class EdgeRefusal(Refusal):
    """A refusal that only exists on HTTP; `status` where the kind's is not the right one."""

    status: ClassVar[int]


class InvalidInput(Refusal):
    """data.fields: [{path, code, message}], never the input itself."""

    kind, code, title = Kind.INVALID, "invalid_input", "提交的内容有误"


class BodyTooLarge(EdgeRefusal):
    kind, code, title, status = Kind.INVALID, "body_too_large", "提交的内容过大", 413


class BodyTimedOut(EdgeRefusal):
    kind, code, title, status = Kind.INVALID, "body_timed_out", "接收内容超时，请重试", 408


class NotAcceptingType(EdgeRefusal):
    kind, code, title, status = Kind.INVALID, "content_type_not_accepted", "不支持的内容类型", 415


class IdempotencyKeyInvalid(Refusal):
    """Missing where one is required, or not 1 to 255 visible ASCII characters."""

    kind, code, title = Kind.INVALID, "idempotency_key_invalid", "缺少有效的幂等键 Idempotency-Key"


class IdempotencyKeyReused(Refusal):
    kind, code, title = Kind.INVALID, "idempotency_key_reused", "幂等键已用于另一请求"


class TooManyRequests(Refusal):
    """data.retry_after_seconds."""

    kind, code, title = Kind.TOO_MANY, "too_many_requests", "操作过于频繁，请稍后再试"


def status_of(refusal: type[Refusal]) -> int:
    return refusal.status if issubclass(refusal, EdgeRefusal) else STATUS[refusal.kind]


def of_refusal(refusal: Refusal, request_id: str) -> web.Response:
    status = status_of(type(refusal))
    response = problem(status, refusal.code, refusal.title, request_id, refusal.data)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status in {429, 503}:
        response.headers["Retry-After"] = str(max(1, int(refusal.data.get("retry_after_seconds", 1))))
    if status in {408, 413}:
        response.force_close()  # the rest of the body is still on its way, and nobody will read it
    return response


def of_http(error: web.HTTPException, request_id: str) -> web.Response:
    """What the router or the parser refused: no such path, no such method, a broken request."""
    code, title = OF_ROUTER.get(error.status, ("bad_request", "请求有误"))
    response = problem(error.status, code, title, request_id)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def internal_error(request_id: str) -> web.Response:
    return problem(500, "internal_error", "系统出现错误，请稍后再试", request_id)


def problem(status: int, code: str, title: str, request_id: str, data: dict[str, Any] | None = None) -> web.Response:
    document = {
        "type": f"urn:qifuquan:problem:{code}", "title": title, "status": status, "code": code, "data": data or {},
        "request_id": request_id,
    }
    return web.Response(
        status=status, body=orjson.dumps(document), headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    )


# --- what is wrong with a field -------------------------------------------------------------------------------------

# By pydantic's error type. A placeholder is a bound that we set ourselves; the input is never among them.
MESSAGES = {
    "missing": "必填",
    "extra_forbidden": "未知字段",
    "string_type": "应为文本",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "最多 {max_length} 个字符",
    "string_pattern_mismatch": "格式不正确",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "finite_number": "应为有限的数字",
    "bool_type": "应为是或否",
    "bool_parsing": "应为 true 或 false",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "不小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "不大于 {le}",
    "multiple_of": "应为 {multiple_of} 的倍数",
    "too_short": "至少 {min_length} 项",
    "too_long": "最多 {max_length} 项",
    "list_type": "应为列表",
    "dict_type": "应为对象",
    "model_type": "应为对象",
    "model_attributes_type": "应为对象",
    "enum": "不是可选的值",
    "literal_error": "不是可选的值",
    "date_type": "应为日期，例如 2026-05-01",
    "date_parsing": "应为日期，例如 2026-05-01",
    "date_from_datetime_parsing": "应为日期，例如 2026-05-01",
    "date_from_datetime_inexact": "应为日期，例如 2026-05-01",
    "datetime_type": "应为时间，例如 2026-05-01T09:00:00+08:00",
    "datetime_parsing": "应为时间，例如 2026-05-01T09:00:00+08:00",
    "datetime_from_date_parsing": "应为时间，例如 2026-05-01T09:00:00+08:00",
    "timezone_aware": "时间须带时区，例如 2026-05-01T09:00:00+08:00",
    "uuid_parsing": "格式不正确",
    "union_tag_invalid": "不是可选的值",
    "union_tag_not_found": "缺少类型",
    "repeated": "只能出现一次",
    "int64": "超出整数范围",
    "json_syntax": "不是有效的 JSON",
    "json_repeated_name": "JSON 中有重复的字段",
    "json_character": "含有不允许的字符",
    "json_depth": "JSON 嵌套过深",
    "file_missing": "缺少文件",
}


def field(path: str, code: str) -> dict[str, str]:
    return {"path": path, "code": code, "message": MESSAGES[code]}


def invalid(path: str, code: str) -> InvalidInput:
    return InvalidInput(fields=[field(path, code)])


def of_validation(error: ValidationError, within: str) -> InvalidInput:
    """`within` is body or query. At most twenty fields: a hostile body has thousands of errors."""
    return InvalidInput(fields=[{
        "path": ".".join([within, *(_part(part) for part in found["loc"])]),
        "code": found["type"],
        "message": _message(found["type"], found.get("ctx") or {}, found["msg"]),
    } for found in error.errors(include_input=False, include_url=False)[:20]])


def _part(part: str | int) -> str:
    return str(part) if isinstance(part, int) or FIELD_NAME.fullmatch(part) else "*"


def _message(code: str, bounds: dict[str, Any], said: str) -> str:
    """Our own validators speak Chinese, and never repeat the input; pydantic's English is for no phone."""
    if code in MESSAGES:
        return MESSAGES[code].format_map(bounds)
    return said.removeprefix("Value error, ") if any("\u4e00" <= letter <= "\u9fff" for letter in said) else "格式不正确"
