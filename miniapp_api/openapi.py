"""The OpenAPI 3.1 document, made from the routes: what is not in a signature or a declaration is not in it."""

from itertools import groupby
from typing import Any

from handlers.refusals import Refusal
from miniapp_api.problems import MEDIA_TYPE, status_of
from miniapp_api.routing import PREFIX, Api, Download, Operation, PathParameter
from miniapp_api.schemas import Key, describe, in_chinese

ABOUT = """\
企服券小程序后端接口。

* 金额一律为整数“分”（字段名以 `_fen` 结尾）；时间为带时区的 RFC 3339 文本。
* 出错时返回 RFC 9457 问题文档：`code` 稳定，供程序判断；`title` 为中文，供用户阅读；`data` 为补充数据。
* 列表用 `after` 与 `limit` 翻页：把上一页的 `next` 放进下一次请求的 `after`。
* 修改类请求可带 `Idempotency-Key`：同键同内容重放首次的结果（`Idempotency-Replayed: true`），同键异内容返回 422；保留七天。
"""
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "data", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "urn:qifuquan:problem:<code>"},
        "title": {"type": "string", "description": "给用户看的中文说明"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "稳定的错误代码"},
        "data": {"type": "object"},
        "request_id": {"type": "string", "description": "报障时请提供"},
    },
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key", "in": "header", "description": "幂等键，由客户端为每次操作生成，例如 UUID",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
}
SUCCESS = {200: "成功", 201: "已创建", 202: "已受理", 204: "成功，无内容"}
WHY = {
    400: "请求无法解析", 401: "未登录", 403: "无权操作", 404: "没有找到", 408: "接收超时", 409: "当前状态不允许", 413: "内容过大",
    415: "内容类型不支持", 422: "内容有误", 429: "过于频繁", 503: "暂时不可用",
}


def document(apis: list[Api]) -> dict[str, Any]:
    """The whole document: JSON-ready, the same for the same routes."""
    operations = [operation for api in apis for operation in api.operations]
    schemas, components = describe([wanted for operation in operations for wanted in _wanted(operation)])
    titles = {api.name: api.title for api in apis}
    paths: dict[str, dict[str, Any]] = {}
    responses: dict[str, Any] = {}
    for operation in operations:
        methods = paths.setdefault(PREFIX + operation.path, {})
        methods[operation.method.lower()] = _described(operation, titles, schemas, components)
        methods[operation.method.lower()]["responses"] |= _refused(operation, responses)
    # A query string is described by its parameters; its model is no schema of its own.
    spread = {_name(schema) for (_, which), schema in schemas.items() if which == "query"}
    named = {name: schema for name, schema in components.items() if name not in spread}
    return {
        "openapi": "3.1.0",
        "info": {"title": "企服券 API", "version": "1", "description": ABOUT},
        "tags": [{"name": api.title} for api in apis if api.operations],
        "paths": paths,
        "components": {
            "schemas": dict(sorted((named | {"Problem": PROBLEM}).items())),
            "responses": dict(sorted(responses.items())),
            "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY | {"required": False}, "RequiredKey": IDEMPOTENCY_KEY | {"required": True}},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "登录后取得的令牌"}},
        },
    }


def _wanted(operation: Operation) -> list[Any]:
    wanted: list[Any] = []
    if operation.body:
        wanted.append(((operation.name, "body"), "validation", operation.body))
    if operation.query:
        wanted.append(((operation.name, "query"), "validation", operation.query))
    if operation.answer is not None and operation.answer is not Download:
        wanted.append(((operation.name, "answer"), "serialization", operation.answer))
    return wanted


def _described(
    operation: Operation, titles: dict[str, str], schemas: dict[Key, Any], components: dict[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [titles[operation.tag]],
        "summary": operation.title,
        "description": _description(operation),
        "parameters": _parameters(operation, schemas.get((operation.name, "query")), components),
        "responses": _success(operation, schemas.get((operation.name, "answer"))),
        "security": [] if operation.who.anonymous else [{"bearer": []}],
        "x-permission": {
            "name": operation.who.name, "anonymous": operation.who.anonymous,
            "kinds": sorted(operation.who.kinds), "roles": sorted(operation.who.roles),
        },
        "x-refusals": [
            {"code": refusal.code, "status": status_of(refusal), "title": refusal.title} for refusal in _by_status(operation)
        ],
    }
    if operation.body:
        described["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": schemas[operation.name, "body"]}},
        }
    if operation.upload:
        file = {"type": "string", "contentMediaType": "application/octet-stream", "description": "文件内容"}
        form = {"type": "object", "required": ["file"], "properties": {"file": file}}
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return described


def _description(operation: Operation) -> str:
    note = operation.note if in_chinese(operation.note) else ""
    rows = [f"| {status_of(refusal)} | `{refusal.code}` | {refusal.title} |" for refusal in _by_status(operation)]
    table = "\n".join(("| 状态 | 代码 | 说明 |", "|---|---|---|", *rows))
    return "\n\n".join(part for part in (note, f"**权限**：{operation.who.name}", table) if part)


def _by_status(operation: Operation) -> list[type[Refusal]]:
    return sorted(operation.refusals, key=lambda refusal: (status_of(refusal), refusal.code))


# --- parameters -----------------------------------------------------------------------------------------------------


def _parameters(operation: Operation, query: Any, components: dict[str, Any]) -> list[dict[str, Any]]:
    parameters = [_path_parameter(parameter) for parameter in operation.parameters]
    if query is not None:
        model = components[_name(query)]
        required = set(model.get("required", ()))
        parameters += [
            _query_parameter(name, schema, required=name in required) for name, schema in model.get("properties", {}).items()
        ]
    if operation.takes_key:
        parameters.append({"$ref": f"#/components/parameters/{'RequiredKey' if operation.key_required else 'IdempotencyKey'}"})
    return parameters


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _path_parameter(parameter: PathParameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{parameter.pattern})$"}
    if parameter.annotation is int:
        schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 10**18 - 1}
    return {"name": parameter.name, "in": "path", "required": True, "schema": schema}


def _query_parameter(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """A query string cannot say null: an optional parameter is one that is left out."""
    schema = dict(schema)
    description = schema.pop("description", None)
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        schema = kinds[0]
    if schema.get("default", ...) is None:
        schema.pop("default")
    return {"name": name, "in": "query", "required": required, "schema": schema} | (
        {"description": description} if description else {}
    )


# --- responses ------------------------------------------------------------------------------------------------------


def _success(operation: Operation, answer: Any) -> dict[str, Any]:
    success: dict[str, Any] = {"description": SUCCESS[operation.status]}
    if operation.answer is Download:
        success["content"] = {"*/*": {"schema": {}}}
    elif operation.status != 204:
        success["content"] = {"application/json": {"schema": answer}}
    if operation.takes_key:
        success["headers"] = {"Idempotency-Replayed": {"schema": {"const": "true"}, "description": "此为重放的结果"}}
    return {str(operation.status): success}


def _refused(operation: Operation, responses: dict[str, Any]) -> dict[str, Any]:
    """References by status, one response per set of codes: written out, the document would be three times as long."""
    found: dict[str, Any] = {}
    for status, refusals in ((400, []), *((status, list(group)) for status, group in groupby(_by_status(operation), key=status_of))):
        name = ".".join((str(status), *(refusal.code for refusal in refusals)))
        responses[name] = _problem_response(status, refusals)
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return found


def _problem_response(status: int, refusals: list[type[Refusal]]) -> dict[str, Any]:
    codes = [refusal.code for refusal in refusals] or ["bad_request"]
    lines = "；".join(f"{refusal.code}（{refusal.title}）" for refusal in refusals)
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": codes}}}]}
    response: dict[str, Any] = {
        "description": f"{WHY[status]}：{lines}" if lines else WHY[status], "content": {MEDIA_TYPE: {"schema": schema}},
    }
    if status in {429, 503}:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "多少秒后再试"}}
    return response
