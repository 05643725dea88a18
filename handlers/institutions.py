"""Service institutions: the public shop front and its institution's own page behind it (A06, C07-C10, E25).

Landline, mail, website and address are what an institution publishes about itself. The mobile of its contact is never shown
(C09), to its own people only masked.
"""

from datetime import date, datetime
from typing import Any, TypedDict

from handlers.accounts.consents import require_consent
from handlers.context import Context
from handlers.outside import is_mobile
from handlers.paging import Page, PageView, page_of
from handlers.personal import mask_account, mask_name, mask_phone, normalise, open_sealed, seal
from handlers.product_search import folded
from handlers.refusals import Kind, NotFound, Refusal
from handlers.regions import prefix_of
from handlers.transactions import Transaction, row, rows, transaction
from models.categories import CATEGORIES
from models.institutions import InstitutionState


class InstitutionNotCertified(Refusal):
    """C17: what an institution offers becomes public only after its own admission."""

    kind, code, title = Kind.CONFLICT, "institution_not_certified", "本机构尚未通过入库审核"


class InstitutionSuspended(Refusal):
    kind, code, title = Kind.CONFLICT, "institution_suspended", "本机构已被暂停服务"


class LandlineIsMobile(Refusal):
    kind, code, title = Kind.INVALID, "landline_is_mobile", "办公电话会对外公布，请填写座机；手机号请填在联系人中"


class ReviewedElsewhere(Refusal):
    """C15: introduction and address of an institution in the library change by 修改认证资料, which is reviewed."""

    kind, code, title = Kind.CONFLICT, "profile_reviewed", "机构简介和地址请通过“修改认证资料”更改，审核通过后生效"


class ScopeView(TypedDict):
    """A line of the approved 可用券产品申请表."""

    category: str
    category_title: str
    content: str


class PositionView(TypedDict):
    """GCJ-02 degrees, as WeChat's map takes them."""

    latitude: float
    longitude: float


class ShopCardView(TypedDict):
    id: int
    name: str
    region_code: str | None
    introduction: str
    category: str | None
    position: PositionView | None
    picture_ids: list[int]
    products: int


class FrontView(TypedDict):
    """What everybody may see. `contact_name` is masked: 张*."""

    id: int
    name: str
    region_code: str | None
    introduction: str
    address: str
    website: str
    landline: str
    email: str
    contact_name: str | None
    category: str | None
    position: PositionView | None
    picture_ids: list[int]
    scopes: list[ScopeView]
    valid_until: date | None


class ShopView(FrontView):
    """What everybody may see. `products`: how many are listed."""

    products: int


class ProfileView(FrontView):
    """What the institution's own people see; name and mobile of the contact and the account are masked all the same.

    `state` says whether it is in the library (已入库), and why it may not trade where `suspended_at` is set.
    """

    contact_phone: str | None
    bank_account_name: str | None
    bank_branch: str | None
    bank_account: str | None
    state: InstitutionState
    suspended_until: datetime | None
    suspension_reason: str | None
    certified_at: datetime | None
    suspended_at: datetime | None
    updated_at: datetime


# No column of the contact's mobile or of the bank account leaves the database here.
PUBLIC = """
o.id, o.name, o.region_code, i.introduction, i.address, i.website, i.landline, i.email, i.contact_name, i.category, i.latitude,
  i.longitude, i.valid_until,
  ARRAY(SELECT attachment_id FROM pictures WHERE organisation_id = o.id AND product_id IS NULL ORDER BY position) AS picture_ids,
  (SELECT jsonb_agg(jsonb_build_object('category', s.category, 'content', s.content) ORDER BY s.id)
   FROM institution_scopes s WHERE s.organisation_id = o.id) AS scopes
"""
SHOP = f"""
SELECT {PUBLIC},
  (SELECT count(*) FROM products p WHERE p.organisation_id = o.id AND p.state = 'listed') AS products
FROM organisations o JOIN institutions i ON i.organisation_id = o.id
WHERE o.kind = 'institution' AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL
"""
SHOPS = f"""
{SHOP} AND o.id > $1 AND ($2::text IS NULL OR starts_with(o.region_code, $2))
AND strpos(replace(lower(normalize(o.name, NFKC)), ' ', ''), $3) > 0 ORDER BY o.id LIMIT $4
"""
PROFILE = f"""
SELECT {PUBLIC}, o.certified_at, o.suspended_at, i.contact_phone, i.bank_account_name, i.bank_branch, i.bank_account, i.state,
  i.suspended_until, i.suspension_reason, i.application_id, i.updated_at
FROM organisations o JOIN institutions i ON i.organisation_id = o.id WHERE o.id = $1
"""


# --- in public -----------------------------------------------------------------------------------------------------------------


async def list_shops(words: str, region_code: str | None, page: Page) -> PageView[ShopCardView]:
    """Institutions that are open, by a part of their name and by division."""
    after = (page.key() or [0])[0]
    found = await rows(SHOPS, after, prefix_of(region_code) if region_code else None, folded(words), page.limit + 1)
    return page_of(found, page, _card, lambda shop: [shop.id])


async def get_shop(ctx: Context, institution_id: int) -> ShopView:
    """商铺展示. Raises NotFound, also for an institution that is not admitted or is suspended."""
    shop = await row(f"{SHOP} AND o.id = $1", institution_id)
    if shop is None:
        raise NotFound
    return view_shop(ctx, shop)


def _card(shop: Any) -> ShopCardView:
    return {"id": shop.id, "name": shop.name, "region_code": shop.region_code, "introduction": shop.introduction,
            "category": shop.category, "position": _position(shop), "picture_ids": shop.picture_ids, "products": shop.products}


def view_shop(ctx: Context, shop: Any) -> ShopView:
    """`shop`: a row of SHOP."""
    return {**_front(ctx, shop), "products": shop.products}


def _front(ctx: Context, shop: Any) -> FrontView:
    """`shop`: a row with the columns of PUBLIC."""
    return {
        "id": shop.id, "name": shop.name, "region_code": shop.region_code, "introduction": shop.introduction,
        "address": shop.address, "website": shop.website, "landline": shop.landline, "email": shop.email,
        "contact_name": masked_name(ctx, shop), "category": shop.category, "position": _position(shop),
        "picture_ids": shop.picture_ids, "scopes": _scopes(shop), "valid_until": shop.valid_until,
    }


def _position(shop: Any) -> PositionView | None:
    return None if shop.latitude is None else {"latitude": float(shop.latitude), "longitude": float(shop.longitude)}


def _scopes(shop: Any) -> list[ScopeView]:
    return [{"category": scope["category"], "category_title": CATEGORIES.get(scope["category"], scope["category"]),
             "content": scope["content"]} for scope in shop.scopes or ()]


def masked_name(ctx: Context, shop: Any) -> str | None:
    return mask_name(open_sealed(ctx.settings, shop.contact_name)) if shop.contact_name else None


# --- the institution's own page ------------------------------------------------------------------------------------------------


async def get_profile(ctx: Context) -> ProfileView:
    return _profile(ctx, await row(PROFILE, ctx.organisation_id))


async def update_profile(
    ctx: Context, *, introduction: str, address: str, website: str, landline: str, email: str
) -> ProfileView:
    """Replace what is public. Raises LandlineIsMobile; ReviewedElsewhere where the library's review stands behind a fact."""
    if is_mobile(normalise(landline)):
        raise LandlineIsMobile
    async with transaction(ctx) as tx:
        before = await tx.row("SELECT * FROM institutions WHERE organisation_id = $1 FOR NO KEY UPDATE", ctx.organisation_id)
        if before.application_id is not None and (introduction, address) != (before.introduction, before.address):
            raise ReviewedElsewhere
        await tx.run(
            "UPDATE institutions SET introduction = $2, address = $3, website = $4, landline = $5, email = $6, updated_at = $7"
            " WHERE organisation_id = $1", ctx.organisation_id, introduction, address, website, landline, email, ctx.now,
        )
        tx.record("institution.profile_updated", "organisation", ctx.organisation_id)
        return tx.reply(_profile(ctx, await tx.row(PROFILE, ctx.organisation_id)))


async def update_contact(ctx: Context, name: str, phone: str) -> ProfileView:
    """Who is asked about orders. The mobile is sealed and shown to nobody. Raises ConsentNeeded."""
    async with transaction(ctx) as tx:
        await require_consent(tx)
        await tx.run(
            "UPDATE institutions SET contact_name = $2, contact_phone = $3, updated_at = $4 WHERE organisation_id = $1",
            ctx.organisation_id, seal(ctx.settings, name), seal(ctx.settings, normalise(phone)), ctx.now,
        )
        tx.record("institution.contact_updated", "organisation", ctx.organisation_id)
        return tx.reply(_profile(ctx, await tx.row(PROFILE, ctx.organisation_id)))


async def require_open_shop(tx: Transaction, organisation_id: int) -> None:
    """Raises InstitutionNotCertified, InstitutionSuspended. The row is locked against a suspension in the same moment."""
    found = await tx.row("SELECT certified_at, suspended_at FROM organisations WHERE id = $1 FOR SHARE", organisation_id)
    if found.certified_at is None:
        raise InstitutionNotCertified
    if found.suspended_at is not None:
        raise InstitutionSuspended


def _profile(ctx: Context, found: Any) -> ProfileView:
    phone = open_sealed(ctx.settings, found.contact_phone) if found.contact_phone else None
    account = open_sealed(ctx.settings, found.bank_account) if found.bank_account else None
    return {
        **_front(ctx, found), "contact_phone": mask_phone(phone) if phone else None,
        "bank_account_name": found.bank_account_name, "bank_branch": found.bank_branch,
        "bank_account": mask_account(account) if account else None, "state": InstitutionState(found.state),
        "suspended_until": found.suspended_until, "suspension_reason": found.suspension_reason,
        "certified_at": found.certified_at, "suspended_at": found.suspended_at, "updated_at": found.updated_at,
    }
