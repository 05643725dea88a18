"""What a route declares. Its signature is the contract: path, body, query and answer are read from the annotations.

    api = Api("orders", "订单")

    @api.post("/orders/{order_id}/payment", title="用券支付订单", who=Who.ENTERPRISE_PAYER, refusals=(OrderNotFound,))
    async def pay_order(ctx: Context, order_id: int, body: PayOrderBody) -> orders.OrderView:
        return await orders.pay_order(ctx, order_id, body.password, body.spends)

Nothing here touches the network: `edge` serves operations, `openapi` describes them.
"""

import inspect
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from handlers.context import Actor, Context
from handlers.paging import LIMIT_MAX, CursorUnknown, Page
from handlers.refusals import Busy, NotFound, NotYourRole, Refusal
from handlers.sessions import NotSignedIn, Reading, SessionEnded
from miniapp_api.problems import (
    BodyTimedOut,
    BodyTooLarge,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    InvalidInput,
    NotAcceptingType,
    TooManyRequests,
)
from models.accounts import MEMBER_ROLES, OrganisationKind, Role

PREFIX = "/api/v1"
MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Ids start at 1 and fit an int64; [0-9] on purpose, since \d and int() take digits of every script.
ID_PATTERN = "[1-9][0-9]{0,17}"
TEXT_PATTERN = "[A-Za-z0-9_-]{1,64}"
Function = TypeVar("Function", bound=Callable[..., Any])


# --- who may ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may call a route. No kinds and no roles: whoever is signed in, even without an organisation."""

    name: str  # for people, in the documentation
    kinds: frozenset[OrganisationKind] = frozenset()
    roles: frozenset[Role] = frozenset()
    anonymous: bool = False

    def allows(self, actor: Actor) -> bool:
        if self.anonymous:
            return True
        if actor.person_id is None:
            return False
        return not self.roles or (actor.role in self.roles and actor.organisation_kind in self.kinds)


def _of(name: str, kind: OrganisationKind, *roles: Role) -> Permission:
    return Permission(name, frozenset({kind}), frozenset(roles))


OFFICE_ROLES = frozenset(Role) - MEMBER_ROLES - {Role.CONSULTANT, Role.SYSTEM}


class Who:
    """Every permission there is. A route names one of them; finer questions (whose order?) belong to the use-case."""

    ANYONE = Permission("任何人（无需登录）", anonymous=True)
    SIGNED_IN = Permission("任何已登录用户")
    ENTERPRISE = _of("企业成员", OrganisationKind.ENTERPRISE, *MEMBER_ROLES)
    ENTERPRISE_ACTOR = _of("企业负责人、经办人", OrganisationKind.ENTERPRISE, Role.OWNER, Role.HANDLER)
    ENTERPRISE_PAYER = _of("企业负责人、财务", OrganisationKind.ENTERPRISE, Role.OWNER, Role.FINANCE)
    ENTERPRISE_OWNER = _of("企业负责人", OrganisationKind.ENTERPRISE, Role.OWNER)
    INSTITUTION = _of("服务机构成员", OrganisationKind.INSTITUTION, *MEMBER_ROLES)
    INSTITUTION_ACTOR = _of("服务机构负责人、经办人", OrganisationKind.INSTITUTION, Role.OWNER, Role.HANDLER)
    CONSULTANT = _of("服务顾问", OrganisationKind.INSTITUTION, Role.CONSULTANT)
    INSTITUTION_OR_CONSULTANT = _of(
        "服务机构负责人、经办人、服务顾问", OrganisationKind.INSTITUTION, Role.OWNER, Role.HANDLER, Role.CONSULTANT,
    )
    INSTITUTION_OR_ITS_CONSULTANT = _of("服务机构成员、服务顾问", OrganisationKind.INSTITUTION, *MEMBER_ROLES, Role.CONSULTANT)
    MEMBER = Permission(
        "企业或服务机构成员", frozenset({OrganisationKind.ENTERPRISE, OrganisationKind.INSTITUTION}), frozenset(MEMBER_ROLES)
    )
    MEMBER_OR_CONSULTANT = Permission(
        "企业或服务机构成员、服务顾问", frozenset({OrganisationKind.ENTERPRISE, OrganisationKind.INSTITUTION}),
        frozenset({*MEMBER_ROLES, Role.CONSULTANT}),
    )
    OWNER = Permission(
        "企业或服务机构负责人", frozenset({OrganisationKind.ENTERPRISE, OrganisationKind.INSTITUTION}), frozenset({Role.OWNER})
    )
    ACTOR = Permission(
        "企业或服务机构负责人、经办人", frozenset({OrganisationKind.ENTERPRISE, OrganisationKind.INSTITUTION}),
        frozenset({Role.OWNER, Role.HANDLER}),
    )
    REVIEWER = _of(
        "审核员、风控员、系统管理员", OrganisationKind.OFFICE, Role.REVIEWER, Role.CENTRE_REVIEWER, Role.RISK_OFFICER, Role.ADMIN,
    )
    PROGRAMME_MANAGER = _of("项目管理员", OrganisationKind.OFFICE, Role.PROGRAMME_MANAGER)
    DRAW_OFFICIALS = _of("摇号员、见证人", OrganisationKind.OFFICE, Role.DRAW_OFFICER, Role.WITNESS)
    CENTRE_REVIEWER = _of("创新协同中心审核员", OrganisationKind.OFFICE, Role.CENTRE_REVIEWER)
    PAYOUT_OFFICER = _of("财政兑付员", OrganisationKind.OFFICE, Role.PAYOUT_OFFICER)
    FINANCE_OFFICIAL = _of("项目管理员、财政兑付员", OrganisationKind.OFFICE, Role.PROGRAMME_MANAGER, Role.PAYOUT_OFFICER)
    RISK_OFFICER = _of("风控员", OrganisationKind.OFFICE, Role.RISK_OFFICER)
    ADMIN = _of("系统管理员", OrganisationKind.OFFICE, Role.ADMIN)
    OFFICIAL = _of("工作人员", OrganisationKind.OFFICE, *OFFICE_ROLES)


# --- what goes in and out -----------------------------------------------------------------------------------------


class Body(BaseModel):
    """JSON in: nothing is coerced, nothing unknown is let through, and the input is in no error text."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Parameters(BaseModel):
    """A query string without paging."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Query(Parameters):
    """A query string of a list: `after` is the `next` of the page before."""

    after: Annotated[str | None, Field(max_length=512, description="上一页返回的 next")] = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX, description="每页条数")] = 20

    def page(self) -> Page:
        return Page(self.after, self.limit)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is being sent: the part `file` of multipart/form-data. `chunks` may be read once.

    `file_name` is what the client calls it: to be shown, never to be trusted.
    """

    file_name: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Download:
    """A file to send, always as an attachment: nothing that people uploaded is ever rendered in a browser.

    `length` in bytes, where it is known; without it the answer is sent in chunks.
    """

    content: bytes | AsyncIterator[bytes]
    media_type: str
    file_name: str
    length: int | None = None
    cached_seconds: int = 0  # how long anybody may keep it; only for what is public


# --- operations ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PathParameter:
    name: str
    pattern: str
    convert: Callable[[str], Any]
    annotation: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One route with everything that can be known before the first request."""

    name: str
    tag: str
    method: str
    path: str
    title: str
    note: str
    function: Callable[..., Any]
    who: Permission
    status: int
    refusals: tuple[type[Refusal], ...]  # declared, and those that every operation of its shape may give
    limit: str | None
    key_required: bool
    body_max_bytes: int | None
    cached_seconds: int
    parameters: tuple[PathParameter, ...]
    body: TypeAdapter[Any] | None
    query: TypeAdapter[Any] | None
    query_lists: frozenset[str]
    upload: bool
    answer: Any
    codes: frozenset[str]
    reads: Reading | None

    @property
    def mutating(self) -> bool:
        return self.method in MUTATING

    @property
    def takes_key(self) -> bool:
        """Somebody who is nobody yet (log-in) has no answers to keep."""
        return self.mutating and not self.who.anonymous

    @property
    def pattern(self) -> str:
        """The path in the router's language, with a pattern for every parameter."""
        path = self.path
        for parameter in self.parameters:
            path = path.replace("{" + parameter.name + "}", "{" + f"{parameter.name}:{parameter.pattern}" + "}")
        return PREFIX + path


class Api:
    """The routes of one feature. `name` is its word, `title` its 中文 heading in the documentation."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        self.operations: list[Operation] = []

    def get(self, path: str, **options: Any) -> Callable[[Function], Function]:
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Function], Function]:
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Function], Function]:
        return self.route("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Function], Function]:
        return self.route("DELETE", path, **options)

    def route(
        self, method: str, path: str, *, title: str, who: Permission, refusals: tuple[type[Refusal], ...] = (), status: int = 200,
        limit: str | None = None, key_required: bool = False, body_max_bytes: int | None = None, cached_seconds: int = 0,
        reads: Reading | None = None,
    ) -> Callable[[Function], Function]:
        """Declare an operation.

        title: 中文, a few words. who: one of `Who`. refusals: what the use-case may answer besides the usual ones.
        status: of the success; the same when the answer is replayed. limit: a policy of `limits.POLICIES`.
        key_required: money and draws refuse to work without an Idempotency-Key.
        body_max_bytes: where settings.body_max_bytes is not right, as for uploads.
        cached_seconds: how long anybody may keep the answer; only for what is the same for everybody.
        reads: what the use-case looks at first; its parameters are those of the path, in their order.
        """
        assert not cached_seconds or (who.anonymous and method == "GET"), f"{path}: not the same for everybody"

        def register(function: Function) -> Function:
            self.operations.append(_operation(function, {
                "tag": self.name, "method": method, "path": path, "title": title, "who": who, "status": status, "limit": limit,
                "key_required": key_required, "body_max_bytes": body_max_bytes, "cached_seconds": cached_seconds, "reads": reads,
            }, refusals))
            return function

        return register


def _operation(function: Callable[..., Any], declared: dict[str, Any], refusals: tuple[type[Refusal], ...]) -> Operation:
    hints = get_type_hints(function, include_extras=True)
    answer = hints.pop("return")
    names = list(inspect.signature(function).parameters)
    assert hints[names[0]] is Context, f"{function.__name__}: the first parameter is ctx: Context"
    in_path = re.findall(r"\{(\w+)\}", declared["path"])
    body = query = None
    for name in names[1:]:
        hint = hints[name]
        if name == "body":
            assert issubclass(hint, Body), f"{function.__name__}: body is a Body"
            body = hint
        elif name == "query":
            assert issubclass(hint, Parameters), f"{function.__name__}: query is a Query or Parameters"
            query = hint
        else:
            assert name in in_path or hint is Upload, f"{function.__name__}: {name} is not in the path, nor body, query or upload"
    assert set(in_path) <= set(names), f"{function.__name__} does not take every part of its path"
    upload = hints.get("upload") is Upload
    usual = _usual(declared, body=body, query=query, upload=upload, path=bool(in_path))
    if answer in {None, type(None)}:
        answer, declared["status"] = None, 204
    together = tuple(dict.fromkeys((*usual, *refusals)))
    return Operation(
        name=function.__name__, note=inspect.getdoc(function) or "", function=function, **declared, refusals=together,
        parameters=tuple(_path_parameter(name, hints[name]) for name in in_path),
        body=TypeAdapter(body) if body else None, query=TypeAdapter(query) if query else None,
        query_lists=frozenset(
            name for name, info in query.model_fields.items() if _is_list(info.annotation)
        ) if query else frozenset(),
        upload=upload, answer=answer, codes=frozenset(refusal.code for refusal in together),
    )


def _usual(declared: dict[str, Any], *, body: Any, query: Any, upload: bool, path: bool) -> list[type[Refusal]]:
    """What every operation of this shape may answer; not to be declared."""
    usual: list[type[Refusal]] = [InvalidInput, TooManyRequests, Busy]
    if path:
        usual.append(NotFound)
    if not declared["who"].anonymous:
        usual += [NotSignedIn, SessionEnded]
        if declared["who"].roles:
            usual.append(NotYourRole)
        if declared["method"] in MUTATING:
            usual += [IdempotencyKeyInvalid, IdempotencyKeyReused]
    if body or upload:
        usual += [BodyTooLarge, BodyTimedOut, NotAcceptingType]
    if query and issubclass(query, Query):
        usual.append(CursorUnknown)
    return usual


def _path_parameter(name: str, annotation: Any) -> PathParameter:
    if annotation is int:
        return PathParameter(name, ID_PATTERN, int, int)
    if get_origin(annotation) is Annotated:
        pattern = next((extra.pattern for extra in get_args(annotation)[1:] if isinstance(extra, StringConstraints)), None)
        assert isinstance(pattern, str), f"{name}: Annotated[str, StringConstraints(pattern=...)]"
        return PathParameter(name, pattern.removeprefix("^").removesuffix("$"), str, annotation)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return PathParameter(name, "|".join(re.escape(member) for member in annotation), annotation, annotation)
    assert annotation is str, f"{name}: a part of the path is int, str or a StrEnum"
    return PathParameter(name, TEXT_PATTERN, str, Annotated[str, StringConstraints(pattern=f"^{TEXT_PATTERN}$")])


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in {list, tuple, set, frozenset} or any(_is_list(part) for part in get_args(annotation))
