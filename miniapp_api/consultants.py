"""Consultants: the institution's list and its invitations, the answer of whoever was invited, the badge."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from handlers import consultants
from handlers.accounts.consents import ConsentNeeded
from handlers.application_forms import PERSON_NAME
from handlers.applications import FormIncomplete
from handlers.attachments import AttachmentView, FileBroken, FileEmpty, FileTooLarge, FileTypeRefused, TooManyFiles
from handlers.consultants import (
    AlreadyConsultant,
    ConsultantExists,
    ConsultantStateWrong,
    ContactNeeded,
    InvitationExpired,
    InvitationUsed,
    InvitedOther,
    PhoneNeeded,
    PlatformCodeUnavailable,
    SpecialityUnknown,
)
from handlers.context import Context
from handlers.file_types import MEGABYTE
from handlers.institutions import InstitutionNotCertified, InstitutionSuspended
from handlers.outside import MOBILE_PATTERN, is_email
from handlers.paging import PageView
from handlers.refusals import NotFound, StorageAway
from handlers.texts import LINE, ONE_LINE, TEXT
from miniapp_api.routing import Api, Body, Download, Query, Upload, Who
from models.consultants import ConsultantState

api = Api("consultants", "服务顾问")

def _email(address: str) -> str:
    if not is_email(address):
        raise ValueError("邮箱格式不正确")
    return address


Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=PERSON_NAME)]
DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=20, pattern=ONE_LINE), LINE]
Mobile = Annotated[str, StringConstraints(pattern=f"^{MOBILE_PATTERN}$")]
Email = Annotated[str, AfterValidator(_email), StringConstraints(max_length=254)]
Speciality = Annotated[str, StringConstraints(max_length=32)]
Specialities = Annotated[list[Speciality], Field(max_length=consultants.SPECIALITIES_MAX, description="服务类型代码")]
Id = Annotated[int, Field(ge=1, lt=2**63)]
LINKS = (NotFound, InvitationExpired, InvitationUsed, InvitedOther)


class ConsultantsQuery(Query):
    state: ConsultantState | None = None


class ConsultantBody(Body):
    """手机号、邮箱至少填写一项；填写手机号的，只有该手机号可以接受邀请。"""

    name: Annotated[Name, Field(description="姓名，加密保存")]
    display_name: Annotated[DisplayName | None, Field(description="公开称呼，例如 张顾问；不填则为姓加“顾问”")] = None
    phone: Mobile | None = None
    email: Email | None = None
    specialities: Specialities = Field(default_factory=list)


class ProfileBody(Body):
    """除姓名外均公开。姓名不填则保持上次提交的。"""

    name: Annotated[str, Field(max_length=50), LINE] = ""
    title: Annotated[str, Field(max_length=100, description="职称或职务"), LINE]
    specialities: Specialities
    introduction: Annotated[str, Field(max_length=consultants.INTRODUCTION_MAX), TEXT]
    photo_id: Annotated[Id | None, Field(description="上传的照片；不填则保持原照片")] = None


# --- the institution -------------------------------------------------------------------------------------------------------------

OPEN = (InstitutionNotCertified, InstitutionSuspended)
FACTS = (ContactNeeded, SpecialityUnknown, ConsultantExists)


@api.get("/institution/consultants", title="本机构的服务顾问", who=Who.INSTITUTION)
async def list_consultants(ctx: Context, query: ConsultantsQuery) -> PageView[consultants.ConsultantView]:
    return await consultants.list_consultants(ctx, query.state, query.page())


@api.post("/institution/consultants", title="添加服务顾问", who=Who.INSTITUTION_ACTOR, status=201, refusals=(*OPEN, *FACTS))
async def add_consultant(ctx: Context, body: ConsultantBody) -> consultants.ConsultantView:
    return await consultants.add_consultant(ctx, **body.model_dump())


@api.get("/institution/consultants/{consultant_id}", title="服务顾问详情", who=Who.INSTITUTION)
async def get_consultant(ctx: Context, consultant_id: int) -> consultants.ConsultantView:
    return await consultants.get_consultant(ctx, consultant_id)


@api.put(
    "/institution/consultants/{consultant_id}", title="修改服务顾问的邀请信息", who=Who.INSTITUTION_ACTOR,
    refusals=(ConsultantStateWrong, *FACTS),
)
async def change_consultant(ctx: Context, consultant_id: int, body: ConsultantBody) -> consultants.ConsultantView:
    """邀请中和已接受邀请的不可修改。"""
    return await consultants.change_consultant(ctx, consultant_id, **body.model_dump())


@api.delete(
    "/institution/consultants/{consultant_id}", title="解除与服务顾问的关联", who=Who.INSTITUTION_ACTOR, refusals=(ConsultantStateWrong,)
)
async def unlink_consultant(ctx: Context, consultant_id: int) -> consultants.ConsultantView:
    """立即生效；再次关联须重新邀请。"""
    return await consultants.unlink(ctx, consultant_id)


@api.post(
    "/institution/consultants/{consultant_id}/invitation", title="邀请服务顾问", who=Who.INSTITUTION_ACTOR, status=201,
    limit="invitation", refusals=(*OPEN, ConsultantStateWrong),
)
async def invite_consultant(ctx: Context, consultant_id: int) -> consultants.InvitedView:
    """链接 7 天内有效，只用一次，只在此处返回一次；遗失须重新邀请，原链接随即失效。"""
    return await consultants.invite(ctx, consultant_id)


@api.delete(
    "/institution/consultants/{consultant_id}/invitation", title="撤销邀请", who=Who.INSTITUTION_ACTOR, refusals=(ConsultantStateWrong,)
)
async def revoke_invitation(ctx: Context, consultant_id: int) -> consultants.ConsultantView:
    return await consultants.revoke(ctx, consultant_id)


@api.get("/invitations/{token}/poster.{kind}", title="邀请海报", who=Who.INSTITUTION_ACTOR, limit="drawing")
async def download_poster(ctx: Context, token: str, kind: consultants.PosterKind) -> Download:
    """含机构名称和邀请二维码。"""
    media_type = {consultants.PosterKind.PNG: "image/png", consultants.PosterKind.SVG: "image/svg+xml"}[kind]
    return Download(await consultants.draw_poster(ctx, token, kind), media_type, f"邀请.{kind}")


@api.get(
    "/invitations/{token}/mini-program-code", title="邀请的小程序码", who=Who.INSTITUTION_ACTOR, limit="drawing",
    refusals=(PlatformCodeUnavailable,),
)
async def download_mini_program_code(ctx: Context, token: str) -> Download:
    picture = await consultants.draw_platform_code(ctx, token)
    png = picture.startswith(b"\x89PNG")
    return Download(picture, "image/png" if png else "image/jpeg", "小程序码." + ("png" if png else "jpg"))


# --- whoever was invited -----------------------------------------------------------------------------------------------------------


@api.get("/invitations/{token}", title="查看邀请", who=Who.SIGNED_IN, limit="invitation_link")
async def get_invitation(ctx: Context, token: str) -> consultants.InvitationView:
    """不存在、已撤销、已谢绝以及由他人接受的邀请，回答相同。"""
    return await consultants.open_invitation(ctx, token)


@api.post(
    "/invitations/{token}/acceptance", title="接受邀请", who=Who.SIGNED_IN, limit="invitation_link",
    refusals=(*LINKS, ConsentNeeded, PhoneNeeded, AlreadyConsultant),
)
async def accept_invitation(ctx: Context, token: str) -> consultants.ConsultancyView:
    """机构登记了手机号的，只有绑定该手机号的本人可以接受。"""
    return await consultants.accept(ctx, token)


@api.post("/invitations/{token}/refusal", title="谢绝邀请", who=Who.SIGNED_IN, limit="invitation_link", refusals=LINKS)
async def decline_invitation(ctx: Context, token: str) -> consultants.InvitationView:
    return await consultants.decline(ctx, token)


@api.post(
    "/invitations/{token}/renewal", title="请机构重新邀请", who=Who.SIGNED_IN, limit="invitation_link", refusals=(ConsultantStateWrong,)
)
async def ask_for_new_invitation(ctx: Context, token: str) -> consultants.InvitationView:
    """仅限已过期的邀请。"""
    return await consultants.ask_renewal(ctx, token)


@api.get("/consultancies", title="我的顾问身份", who=Who.SIGNED_IN)
async def list_consultancies(ctx: Context, query: Query) -> PageView[consultants.ConsultancyView]:
    return await consultants.list_mine(ctx, query.page())


@api.get("/consultancies/{consultancy_id}", title="顾问身份详情", who=Who.SIGNED_IN)
async def get_consultancy(ctx: Context, consultancy_id: int) -> consultants.ConsultancyView:
    return await consultants.get_mine(ctx, consultancy_id)


@api.post(
    "/consultancies/{consultancy_id}/photo", title="上传顾问照片", who=Who.SIGNED_IN, status=201, limit="upload",
    body_max_bytes=3 * MEGABYTE,
    refusals=(ConsultantStateWrong, FileTypeRefused, FileTooLarge, FileEmpty, FileBroken, TooManyFiles, StorageAway),
)
async def upload_consultant_photo(ctx: Context, consultancy_id: int, upload: Upload) -> AttachmentView:
    """认证通过后公开；提交认证时在 photo_id 中填写其 id。"""
    return await consultants.upload_photo(ctx, consultancy_id, upload.file_name, upload.chunks)


@api.put(
    "/consultancies/{consultancy_id}/form", title="提交顾问认证", who=Who.SIGNED_IN,
    refusals=(FormIncomplete, ConsultantStateWrong, ConsentNeeded),
)
async def submit_consultancy(ctx: Context, consultancy_id: int, body: ProfileBody) -> consultants.ConsultancyView:
    return await consultants.submit(ctx, consultancy_id, body.model_dump(exclude={"photo_id"}), body.photo_id)


@api.delete("/consultancies/{consultancy_id}", title="解除与机构的关联", who=Who.SIGNED_IN, refusals=(ConsultantStateWrong,))
async def leave_institution(ctx: Context, consultancy_id: int) -> consultants.ConsultancyView:
    """顾问可随时解除，立即生效。"""
    return await consultants.leave(ctx, consultancy_id)


# --- everybody ---------------------------------------------------------------------------------------------------------------------


@api.get("/institutions/{institution_id}/consultants", title="机构的服务顾问", who=Who.ANYONE)
async def list_institution_consultants(
    _ctx: Context, institution_id: int, query: Query
) -> PageView[consultants.PublicConsultantView]:
    return await consultants.list_public(institution_id, query.page())


@api.get("/badge", title="我的工牌", who=Who.CONSULTANT)
async def get_badge(ctx: Context) -> consultants.BadgeView:
    """每 30 秒更换，60 秒内有效；请在 next_at 重新获取。"""
    return await consultants.show_badge(ctx)


@api.get("/badges/{token}", title="核验工牌", who=Who.ANYONE, limit="invitation_link")
async def check_badge(ctx: Context, token: str) -> consultants.BadgeStandingView:
    return await consultants.check_badge(ctx, token)
