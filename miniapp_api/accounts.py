from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from handlers import accounts, closures, regions, zones
from handlers.context import Context
from handlers.paging import PageView
from handlers.refusals import NotFound, NotYourRole, SecondPersonNeeded
from handlers.texts import LINE, ONE_LINE
from miniapp_api.regions import RegionCode
from miniapp_api.routing import Api, Body, Query, Who
from models.accounts import OrganisationKind, Platform, Role

api = Api("accounts", "账号与身份")

Code = Annotated[str, Field(min_length=1, max_length=512, description="平台给出的一次性凭证")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=200, pattern=ONE_LINE), LINE]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=40, pattern=ONE_LINE), LINE]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 -]{4,20}$")]
Id = Annotated[int, Field(ge=1, lt=2**63)]
OfficialRole = Literal[
    "reviewer", "centre_reviewer", "programme_manager", "draw_officer", "witness", "risk_officer", "payout_officer", "admin",
]


class LogInBody(Body):
    platform: Literal["wechat", "dingtalk"]
    code: Code
    device_id: Annotated[str | None, Field(min_length=8, max_length=128, description="小程序在本机生成的设备标识，用于发现代办")] = None


class ConsentBody(Body):
    document: Literal["privacy"]
    version: Annotated[str, Field(max_length=32)]


class PhoneBody(Body):
    code: Code


class NameBody(Body):
    name: PersonName


class ClosureBody(Body):
    confirmation: Annotated[Literal["注销账号"], Field(description="由本人输入，避免误触")]


class SwitchBody(Body):
    membership_id: Annotated[Id | None, Field(description="为空则不代表任何单位")]


class OrganisationBody(Body):
    kind: Literal["enterprise", "institution"]
    name: Line
    credit_code: Annotated[str, Field(max_length=64, description="统一社会信用代码")]
    region_code: RegionCode
    park_id: Id | None = None
    programme_id: Annotated[Id | None, Field(description="登记为哪个项目的企业用户；区外企业不能登记")] = None


class MemberBody(Body):
    phone: Phone
    role: Literal["handler", "finance", "viewer"]


class RoleBody(Body):
    role: Literal["owner", "handler", "finance", "viewer"]


class OfficeBody(Body):
    name: Line
    region_code: RegionCode | None = None


class OfficialBody(Body):
    phone: Phone
    role: OfficialRole
    office_id: Id
    region_code: RegionCode | None = None
    park_id: Id | None = None


@api.get("/privacy", title="隐私政策", who=Who.ANYONE)
async def read_privacy(_ctx: Context) -> accounts.DocumentView:
    return accounts.privacy()


@api.post(
    "/sessions", title="登录", who=Who.ANYONE, limit="login", status=201,
    refusals=(accounts.LoginCodeRefused, accounts.PlatformUnavailable),
)
async def log_in(ctx: Context, body: LogInBody) -> accounts.SignedInView:
    return await accounts.log_in(ctx, Platform(body.platform), body.code, body.device_id)


@api.get("/sessions", title="我的登录设备", who=Who.SIGNED_IN)
async def list_sessions(ctx: Context, query: Query) -> PageView[accounts.SessionView]:
    return await accounts.list_sessions(ctx, query.page())


@api.delete("/sessions", title="退出其他设备", who=Who.SIGNED_IN)
async def revoke_other_sessions(ctx: Context) -> accounts.RevokedView:
    return await accounts.revoke_other_sessions(ctx)


@api.delete("/sessions/current", title="退出登录", who=Who.SIGNED_IN, refusals=(NotFound,))
async def log_out(ctx: Context) -> accounts.RevokedView:
    return await accounts.log_out(ctx)


@api.delete("/sessions/{session_id}", title="使一台设备退出", who=Who.SIGNED_IN)
async def revoke_session(ctx: Context, session_id: int) -> accounts.RevokedView:
    return await accounts.revoke_session(ctx, session_id)


@api.put("/sessions/current/membership", title="切换身份", who=Who.SIGNED_IN, refusals=(NotFound,))
async def switch_membership(ctx: Context, body: SwitchBody) -> accounts.MeView:
    return await accounts.switch_membership(ctx, body.membership_id)


@api.get("/me", title="我", who=Who.SIGNED_IN)
async def read_me(ctx: Context) -> accounts.MeView:
    return await accounts.me(ctx)


@api.put(
    "/me/phone", title="绑定手机号", who=Who.SIGNED_IN,
    refusals=(accounts.ConsentNeeded, accounts.LoginCodeRefused, accounts.PlatformUnavailable, accounts.PhoneTaken),
)
async def bind_phone(ctx: Context, body: PhoneBody) -> accounts.MeView:
    return await accounts.bind_phone(ctx, body.code)


@api.put("/me/name", title="填写姓名", who=Who.SIGNED_IN, refusals=(accounts.ConsentNeeded,))
async def set_name(ctx: Context, body: NameBody) -> accounts.MeView:
    return await accounts.set_name(ctx, body.name)


@api.post("/me/closure", title="注销账号", who=Who.SIGNED_IN, refusals=(closures.AccountStillNeeded,))
async def close_account(ctx: Context, body: ClosureBody) -> closures.ClosedView:
    """立即生效、不可恢复；之后以同一微信、钉钉登录是新的账号。重复提交时登录已失效，即已注销。"""
    del body  # that it is there is all it says
    return await closures.close_account(ctx)


@api.post("/consents", title="同意隐私政策", who=Who.SIGNED_IN, refusals=(accounts.ConsentOutdated,))
async def agree(ctx: Context, body: ConsentBody) -> accounts.ConsentView:
    return await accounts.agree(ctx, body.document, body.version)


@api.post(
    "/organisations", title="登记单位", who=Who.SIGNED_IN, status=201,
    refusals=(
        accounts.CreditCodeInvalid, regions.RegionUnknown, regions.RegionTooWide, regions.ParkUnknown,
        accounts.OrganisationsTooMany, accounts.OrganisationExists, zones.OutsideZone, NotFound,
    ),
)
async def register_organisation(ctx: Context, body: OrganisationBody) -> accounts.RegisteredView:
    return await accounts.register_organisation(
        ctx, OrganisationKind(body.kind), body.name, body.credit_code, body.region_code, body.park_id, body.programme_id
    )


@api.get("/members", title="本单位成员", who=Who.MEMBER)
async def list_members(ctx: Context, query: Query) -> PageView[accounts.MemberView]:
    return await accounts.list_members(ctx, query.page())


@api.post("/members", title="添加成员", who=Who.OWNER, status=201, refusals=(accounts.PersonUnknown, accounts.AlreadyMember))
async def invite_member(ctx: Context, body: MemberBody) -> accounts.MemberView:
    return await accounts.invite_member(ctx, body.phone, Role(body.role))


@api.put("/members/{membership_id}/role", title="调整成员角色", who=Who.OWNER, refusals=(accounts.LastOwner, accounts.AlreadyMember))
async def change_member_role(ctx: Context, membership_id: int, body: RoleBody) -> accounts.MemberView:
    return await accounts.change_member_role(ctx, membership_id, Role(body.role))


@api.delete("/members/{membership_id}", title="移除成员或退出单位", who=Who.MEMBER, refusals=(accounts.LastOwner, NotYourRole))
async def end_membership(ctx: Context, membership_id: int) -> accounts.EndedView:
    return await accounts.end_membership(ctx, membership_id)


@api.get("/offices", title="部门", who=Who.ADMIN)
async def list_offices(_ctx: Context, query: Query) -> PageView[accounts.OfficeView]:
    return await accounts.list_offices(query.page())


@api.post("/offices", title="新增部门", who=Who.ADMIN, status=201, refusals=(regions.RegionUnknown, regions.OutsideJurisdiction))
async def create_office(ctx: Context, body: OfficeBody) -> accounts.OfficeView:
    return await accounts.create_office(ctx, body.name, body.region_code)


@api.get("/officials", title="工作人员", who=Who.ADMIN)
async def list_officials(ctx: Context, query: Query) -> PageView[accounts.OfficialView]:
    return await accounts.list_officials(ctx, query.page())


@api.post(
    "/officials", title="任命工作人员", who=Who.ADMIN, status=201,
    refusals=(
        accounts.JurisdictionNeeded, regions.RegionUnknown, regions.ParkUnknown, regions.OutsideJurisdiction,
        accounts.OfficeUnknown, accounts.PersonUnknown, SecondPersonNeeded, accounts.RolesNotSeparate, accounts.AlreadyMember,
    ),
)
async def appoint_official(ctx: Context, body: OfficialBody) -> accounts.OfficialView:
    return await accounts.appoint_official(
        ctx, body.phone, Role(body.role), body.office_id, region_code=body.region_code, park_id=body.park_id
    )


@api.delete("/officials/{membership_id}", title="免去工作人员", who=Who.ADMIN, refusals=(SecondPersonNeeded,))
async def end_official(ctx: Context, membership_id: int) -> accounts.EndedView:
    return await accounts.end_official(ctx, membership_id)
