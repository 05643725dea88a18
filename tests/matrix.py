"""Everybody and one of everything: the world in which every operation is tried by every role."""

import re
import secrets
from dataclasses import dataclass, field
from enum import EnumMeta
from hashlib import sha256
from typing import Any, get_args, get_origin

from aiohttp import FormData

from handlers.personal import seal
from handlers.regions import load_regions
from miniapp_api.apis import APIS
from miniapp_api.openapi import document
from miniapp_api.routing import MUTATING, OFFICE_ROLES, Operation, PathParameter
from models.accounts import OrganisationKind, Role
from tests.applications import PDF, consent, file, picture, submitted_certification, valid
from tests.lottery import Lottery, Officials, opened, plan, reserve
from tests.market import DEMAND, Market
from tests.shop import Shop, open_shop
from tests.supermarket import ACTIVITY, evidence, open_supermarket
from tests.test_redemptions import Treasury
from tests.world import JINAN, SHIZHONG, Member, World

MISSING = 10**15
ZHENGZHOU = "410100"
DOCUMENT = document(APIS)
OPERATIONS: list[Operation] = [operation for api in APIS for operation in api.operations]


# --- everybody ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    """`kind` and `role` as the permission sees them; no token: anonymous; `signed_in` False: a token that is worth nothing."""

    name: str
    member: Member | None = None
    kind: OrganisationKind | None = None
    role: Role | None = None
    signed_in: bool = True


# Each office role here and in another city; reviewers also next door, and of one park alone.
OFFICIALS = {str(role): (role, JINAN) for role in sorted(OFFICE_ROLES)}
OFFICIALS |= {f"{role}_elsewhere": (role, ZHENGZHOU) for role in sorted(OFFICE_ROLES)}
OFFICIALS["reviewer_next_county"] = (Role.REVIEWER, "370102")
HERE = {str(role) for role in OFFICE_ROLES}
STAFF = (Role.OWNER, Role.HANDLER, Role.FINANCE, Role.VIEWER)


async def everybody(world: World, shop: Shop) -> dict[str, Caller]:
    """Four roles in each of two enterprises and two institutions, officials here and elsewhere, and people who may do little."""
    found = {"anonymous": Caller("anonymous", signed_in=False)}
    others = {"buyer": shop.buyer.organisation_id, "seller": shop.seller.organisation_id}
    others["stranger"] = await world.organisation(OrganisationKind.ENTERPRISE)
    others["rival"] = await world.organisation(OrganisationKind.INSTITUTION)
    for side, organisation in others.items():
        kind = OrganisationKind.INSTITUTION if side in ("seller", "rival") else OrganisationKind.ENTERPRISE
        for role in STAFF:
            first = {"buyer": shop.buyer, "seller": shop.seller}.get(side) if role is Role.OWNER else None
            member = first or await world.member(organisation, role)
            found[f"{side}_{role}"] = Caller(f"{side}_{role}", member, kind, role)
    for name, (role, region) in OFFICIALS.items():
        found[name] = Caller(name, await world.official(role, region_code=region), OrganisationKind.OFFICE, role)
    park = await world.value(
        "INSERT INTO parks (name, county_code, created_at) VALUES ('东园',$1,$2) RETURNING id", SHIZHONG, world.clock.now()
    )
    member = await world.official(Role.REVIEWER, park_id=park)
    found["reviewer_of_a_park"] = Caller("reviewer_of_a_park", member, OrganisationKind.OFFICE, Role.REVIEWER)
    await _the_consultant(world, shop, found)
    await _the_powerless(world, shop, found)
    return found


async def _the_consultant(world: World, shop: Shop, found: dict[str, Caller]) -> None:
    _, member = await world.consultant(shop.seller)
    found["seller_consultant"] = Caller("seller_consultant", member, OrganisationKind.INSTITUTION, Role.CONSULTANT)


async def _the_powerless(world: World, shop: Shop, found: dict[str, Caller]) -> None:
    """Whose membership has ended, who never had one, and whose session is revoked or over."""
    ended = await world.member(shop.buyer.organisation_id, Role.HANDLER)
    await world.owner.execute("UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1", ended.membership_id, world.clock.now())
    found["ended_membership"] = Caller("ended_membership", ended)
    alone = await world.member(shop.buyer.organisation_id, Role.VIEWER)
    await world.owner.execute("UPDATE sessions SET membership_id = NULL WHERE membership_id = $1", alone.membership_id)
    found["without_organisation"] = Caller("without_organisation", alone)
    for name, column, value in (("revoked", "revoked_at", world.clock.now()), ("expired", "expires_at", world.clock.now())):
        member = await world.member(shop.buyer.organisation_id, Role.HANDLER)
        await world.owner.execute(
            f"UPDATE sessions SET {column} = $2, created_at = $3 WHERE membership_id = $1", member.membership_id, value, world.at(days=-1)
        )
        found[name] = Caller(name, member, signed_in=False)
    nobody = Member(0, 0, 0, 0, Role.OWNER, secrets.token_urlsafe(32))
    found["forged_token"] = Caller("forged_token", nobody, signed_in=False)


def permitted(operation: Operation, caller: Caller) -> int | None:
    """401 or 403, or None where the declared permission lets the caller in."""
    who = operation.who
    if who.anonymous:
        return None
    if not caller.signed_in:
        return 401
    return 403 if who.roles and not (caller.role in who.roles and caller.kind in who.kinds) else None


# --- one of everything --------------------------------------------------------------------------------------------------


@dataclass
class Things:
    """Ids by name, and who may know of each."""

    ids: dict[str, dict[str, int]] = field(default_factory=dict)
    insiders: dict[str, frozenset[str]] = field(default_factory=dict)

    def add(self, name: str, insiders: set[str], **ids: int) -> None:
        self.ids[name], self.insiders[name] = ids, frozenset(insiders)


BUYERS, SELLERS = ({f"{side}_{role}" for role in STAFF} for side in ("buyer", "seller"))


async def one_of_each(world: World, shop: Shop, callers: dict[str, Caller]) -> Things:
    found = Things()
    member = {name: caller.member for name, caller in callers.items() if caller.member}
    order = await shop.delivered()
    found.add("order", BUYERS | SELLERS, order_id=order)
    found.add("order at risk", {"risk_officer"}, order_id=order)
    found.add("listed product", set(callers), product_id=shop.product_id, programme_id=shop.programme.id)
    found.add("institution", set(callers), institution_id=shop.seller.organisation_id)
    found.add("no institution", set(), institution_id=shop.buyer.organisation_id)
    draft = await world.product(shop.seller, shop.programme, name="尚未上架")
    await world.owner.execute("UPDATE products SET state = 'draft', listed_at = NULL WHERE id = $1", draft)
    found.add("own product", SELLERS, product_id=draft)
    found.add("draft product", set(), product_id=draft)
    found.add("membership", BUYERS, membership_id=member["buyer_viewer"].membership_id)
    found.add("official", {"admin"}, membership_id=(await world.official(Role.REVIEWER, region_code=SHIZHONG)).membership_id)
    now, me = world.clock.now(), shop.buyer
    found.add("session", {"buyer_owner"}, session_id=await world.value(
        "INSERT INTO sessions (token_hash, person_id, identity_id, membership_id, created_at, expires_at)"
        " VALUES ($1,$2,$3,$4,$5,$6) RETURNING id", sha256(b"another phone").digest(), me.person_id, me.identity_id,
        me.membership_id, now, world.at(days=1),
    ))
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", me.organisation_id, valid("91370103MA1234567"))
    await consent(world, me)
    found.add("approval", {"admin"}, approval_id=await submitted_certification(world, me))
    found.add("attachment", BUYERS, attachment_id=await file(world, me, "business_licence"))
    submitted = await world.value("SELECT min(attachment_id) FROM application_files")
    found.add("submitted attachment", BUYERS | {"admin"}, attachment_id=submitted)
    found.add("private picture", set(), picture_id=await file(world, me, "business_licence"))
    bot = await world.value(
        "WITH i AS (INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,'wechat_oa','oa','o-bot',$2)"
        " RETURNING id) INSERT INTO bot_identities (identity_id, has_chosen, bound_at) SELECT id, false, $2 FROM i RETURNING identity_id",
        me.person_id, now,
    )
    found.add("bound chat", {"buyer_owner"}, identity_id=bot)
    await _notice(world, me, found)
    await _reviews(world, shop, callers, found)
    await _appeal(world, member, found)
    await _demand(world, shop, found)
    await _help_request(world, shop, found)
    await _payout(world, shop, member, found)
    await _lottery(world, shop, callers, found)
    await _supermarket(world, shop, member, found)
    await _consultants(world, shop, callers, found)
    return found


async def _reviews(world: World, shop: Shop, callers: dict[str, Caller], found: Things) -> None:
    """Of both sides, revealed; and somebody who represents the institution."""
    order = await shop.completed()
    given = {"grade": "good", "text": "专业、及时", "platform_stars": 5, "platform_text": ""}
    review = await shop.ok(shop.buyer, order, "review", given)
    answer = await shop.ok(shop.seller, order, "enterprise-review", {"grade": "good", "text": "配合"})
    found.add("review", SELLERS, review_id=review["id"])
    found.add("enterprise review", BUYERS, review_id=answer["id"])
    consultant_id, _ = await world.consultant(shop.seller)
    found.add("consultant in public", set(callers), consultant_id=consultant_id)


async def _consultants(world: World, shop: Shop, callers: dict[str, Caller], found: Things) -> None:
    """One who was added by the seller, and one of the buyer's people who is filling in the form for it."""
    status, added = await world.post("/institution/consultants", {"name": "张敏", "phone": "13800138000"}, by=shop.seller)
    assert status == 201, added
    found.add("consultant", SELLERS, consultant_id=added["id"])
    member = callers["buyer_viewer"].member
    assert member
    consultancy = await world.value(
        "INSERT INTO consultants (institution_id, person_id, display_name, state, version, created_at, updated_at)"
        " VALUES ($1,$2,'李顾问','filling',1,$3,$3) RETURNING id", shop.seller.organisation_id, member.person_id, world.clock.now(),
    )
    found.add("consultancy", {"buyer_viewer"}, consultancy_id=consultancy)


async def _appeal(world: World, member: dict[str, Member], found: Things) -> None:
    """Of the other enterprise, whose certification is rejected."""
    me = member["stranger_owner"]
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", me.organisation_id, valid("91370103MA7654321"))
    await consent(world, me)
    approval = await submitted_certification(world, me)
    status, body = await world.post(f"/approvals/{approval}/rejection", {"reason": "材料不清"}, by=member["admin"])
    assert status == 200, body
    appealed = {"against": "application", "subject_id": body["subject_id"], "statement": "材料清晰，请复核"}
    status, body = await world.post("/appeals", appealed, by=me)
    assert status == 201, body
    found.add("appeal", {f"stranger_{role}" for role in STAFF}, appeal_id=body["id"])


async def _help_request(world: World, shop: Shop, found: Things) -> None:
    """Of the buyer, in the division of this scene's administrator."""
    request = await world.value(
        "INSERT INTO help_requests (person_id, organisation_id, region_code, asked_at, due_at)"
        " SELECT $1, id, region_code, $3, $3 FROM organisations WHERE id = $2 RETURNING id",
        shop.buyer.person_id, shop.buyer.organisation_id, world.clock.now(),
    )
    found.add("help request", {"admin"}, request_id=request)


async def _demand(world: World, shop: Shop, found: Things) -> None:
    """Of the buyer to the seller, who has taken it up."""
    demand = await Market(shop).taken()
    found.add("posted demand", BUYERS, demand_id=demand)
    found.add("received demand", SELLERS, demand_id=demand)


async def _payout(world: World, shop: Shop, member: dict[str, Member], found: Things) -> None:
    await world.owner.execute(
        "UPDATE institutions SET bank_account_name = '户名', bank_branch = '支行', bank_account = $2 WHERE organisation_id = $1",
        shop.seller.organisation_id, seal(world.settings, "6217000000001234567"),
    )
    second, checker = await world.official(Role.CENTRE_REVIEWER), await world.official(Role.PAYOUT_OFFICER)
    treasury = Treasury(shop, world, member["centre_reviewer"], second, member["payout_officer"], checker)
    await treasury.approved()
    found.add("payout batch", {"payout_officer"}, batch_id=await treasury.batch())
    found.add("redemption", SELLERS | {"centre_reviewer"}, redemption_id=await treasury.claimed())


async def _supermarket(world: World, shop: Shop, member: dict[str, Member], found: Things) -> None:
    """In Jinan, whose officials are those of this scene: the seller is certified, offers a regular product, and has filed."""
    market = await open_supermarket(world, JINAN, member["admin"])
    seller = shop.seller
    await world.owner.execute("UPDATE organisations SET credit_code = $2 WHERE id = $1", seller.organisation_id, valid("91370103MB1234567"))
    await consent(world, seller)
    application = await market.submitted(seller, region_code=SHIZHONG)
    assert (await market.decide(application, "approval"))[0] == 200
    found.add("supermarket", SELLERS, programme_id=market.id)
    found.add("no supermarket", set(), programme_id=await world.value("SELECT min(id) FROM programmes WHERE state = 'draft'"))
    standard = await market.standard()
    found.add("standard product", {"admin"}, programme_id=market.id, standard_id=standard)
    body = {"standard_id": standard, "parameters": [{"name": "服务期限", "value": "12"}]}
    status, product = await world.post("/institution/regular-products", body, by=seller)
    assert status == 201, product
    found.add("regular product", SELLERS, product_id=product["id"])
    paper = await evidence(world, seller)
    body = {"happened_on": "2026-02-10", "enterprise_code": valid("91370103MC0000001"), "enterprise_name": "济南示例制造有限公司",
            "amount_fen": 3_000_000, "attachment_ids": [paper]}
    status, filing = await world.post("/institution/transaction-filings", body, by=seller)
    assert status == 201, filing
    assert (await world.put(f"/institution/filings/{filing['id']}/submission", by=seller))[0] == 200
    found.add("own filing", SELLERS, filing_id=filing["id"])
    found.add("filed", {"admin"}, filing_id=filing["id"])
    named = body | {"enterprise_code": valid("91370103MG0000001"), "enterprise_name": "企业"}
    await world.owner.execute(
        "UPDATE organisations SET credit_code = $2 WHERE id = $1", shop.buyer.organisation_id, named["enterprise_code"])
    status, filing = await world.post("/institution/transaction-filings", named, by=seller)
    assert status == 201, filing
    assert (await world.put(f"/institution/filings/{filing['id']}/submission", by=seller))[0] == 200
    found.add("naming filing", BUYERS, filing_id=filing["id"])
    status, activity = await world.post("/institution/activity-filings", ACTIVITY, by=seller)
    assert status == 201, activity
    found.add("own activity", SELLERS, filing_id=activity["id"])


async def _notice(world: World, me: Member, found: Things) -> None:
    from handlers.notices import open_events

    await world.sweep(open_events)
    notice = await world.value("SELECT min(id) FROM notices WHERE person_id = $1", me.person_id)
    assert notice, "the order has told its buyer nothing"
    found.add("notice", {"buyer_owner"}, notice_id=notice)


async def _lottery(world: World, shop: Shop, callers: dict[str, Caller], found: Things) -> None:
    member = {name: caller.member for name, caller in callers.items() if caller.member}
    people = Officials(member["programme_manager"], await world.official(Role.PROGRAMME_MANAGER), member["draw_officer"], member["witness"])
    lottery: Lottery = await opened(world, programme=shop.programme, people=people)
    found.add("round", set(callers), round_id=lottery.id)
    found.add("managed round", HERE, round_id=lottery.id)
    status, receipt = await reserve(lottery, shop.buyer, shop.programme.audit)
    assert status == 201, receipt
    found.add("reservation", BUYERS, reservation_id=receipt["id"])
    lot_id = await world.value("SELECT min(id) FROM lots WHERE organisation_id = $1", shop.buyer.organisation_id)
    found.add("voucher", BUYERS, lot_id=lot_id)
    planned = plan(world, shop.programme, number="202699")
    status, draft = await world.post(f"/programmes/{shop.programme.id}/rounds", planned, by=people.maker)
    assert status == 201, draft
    found.add("draft round", HERE, round_id=draft["id"])
    found.add("unannounced round", set(), round_id=draft["id"])
    found.add("programme", set(callers), programme_id=shop.programme.id)
    found.add("managed programme", HERE, programme_id=shop.programme.id)
    status, hidden = await world.post("/programmes", {"name": "尚未发布", "region_code": "370100"}, by=people.maker)
    assert status == 201, hidden
    found.add("draft programme", HERE, programme_id=hidden["id"])
    status, policy = await world.post(f"/programmes/{shop.programme.id}/policies", {"rules": {}}, by=people.second)
    assert status == 201, policy
    found.add("policy", HERE, programme_id=shop.programme.id, policy_id=policy["id"])
    found.add("policy of another programme", set(), programme_id=hidden["id"], policy_id=policy["id"])


# Which things stand in which paths: the first pattern that fits. A route whose path fits none fails test_matrix.
PATHS: list[tuple[str, tuple[str, ...]]] = [
    (r"/orders/\{order_id\}/(freeze|unfreeze)$", ("order at risk",)),
    (r"/risks/\{order_id\}", ("order at risk",)),
    (r"/orders/\{order_id\}", ("order",)),
    (r"/appeals/\{appeal_id\}", ("appeal",)),
    (r"/redemptions/\{redemption_id\}", ("redemption",)),
    (r"/institution/demands/\{demand_id\}", ("received demand",)),
    (r"/demands/\{demand_id\}", ("posted demand",)),
    (r"/payout-batches/\{batch_id\}", ("payout batch",)),
    (r"/approvals/\{approval_id\}", ("approval",)),
    (r"/help-requests/\{request_id\}", ("help request",)),
    (r"/attachments/\{attachment_id\}", ("attachment", "submitted attachment")),
    (r"/pictures/\{picture_id\}", ("private picture",)),
    (r"/institution/products/\{product_id\}", ("own product",)),
    (r"/institution/regular-products/\{product_id\}", ("regular product",)),
    (r"/institution/activity-filings/\{filing_id\}", ("own activity",)),
    (r"/institution/(filings|transaction-filings)/\{filing_id\}", ("own filing",)),
    (r"/enterprise/filings/\{filing_id\}", ("naming filing",)),
    (r"/filings/\{filing_id\}", ("filed",)),
    (r"/standard-products/\{standard_id\}", ("standard product",)),
    (r"(GET|POST) /programmes/\{programme_id\}/standard-products", ("no supermarket",)),
    (r"/programmes/\{programme_id\}/zone", ("no supermarket",)),
    (r"PUT /programmes/\{programme_id\}/\{wanted\}$", ("no supermarket",)),
    (r"/programmes/\{programme_id\}/\{wanted\}", ("supermarket",)),
    (r"/supermarket-forms/\{wanted\}$", ()),
    (r"/products/\{product_id\}", ("listed product", "draft product")),
    (r"/institutions/\{institution_id\}", ("institution", "no institution")),
    (r"/consultants/\{consultant_id\}/score", ("consultant in public",)),
    (r"/enterprise-reviews/\{review_id\}", ("enterprise review",)),
    (r"/reviews/\{review_id\}", ("review",)),
    (r"/institution/consultants/\{consultant_id\}", ("consultant",)),
    (r"/consultancies/\{consultancy_id\}", ("consultancy",)),
    # What cannot be guessed names its thing to whoever has it; tests/test_consultants.py says who may go on.
    (r"/(invitations|badges|statement-links)/\{token\}", ()),
    (r"/members/\{membership_id\}", ("membership",)),
    (r"/officials/\{membership_id\}", ("official",)),
    (r"/sessions/\{session_id\}", ("session",)),
    (r"/notices/\{notice_id\}", ("notice",)),
    (r"/bindings/\{identity_id\}", ("bound chat",)),
    (r"/reservations/\{reservation_id\}", ("reservation",)),
    (r"/wallet/lots/\{lot_id\}", ("voucher",)),
    (r"/rounds/\{round_id\}/(draw-secret|public-values|confirmation|finalisation|disqualifications)$", ("managed round", "draft round")),
    (r"/rounds/\{round_id\}/voiding(/confirmation)?$", ("managed round", "draft round")),
    (r"PUT /rounds/\{round_id\}$", ("managed round", "draft round")),
    (r"/rounds/\{round_id\}/draw", ("round", "unannounced round")),
    (r"/rounds/\{round_id\}", ("round", "draft round")),
    (r"/programmes/\{programme_id\}/policies/\{policy_id\}", ("policy", "policy of another programme")),
    (r"/programmes/\{programme_id\}/(policies|voucher-types|publication|rounds)", ("managed programme",)),
    (r"/programmes/\{programme_id\}/approved-amount", ("draft programme",)),  # this programme draws lots, so none is granted
    (r"/programmes/\{programme_id\}", ("programme", "draft programme")),
    # Names of our own, the same for everybody: there is nothing that one may know and another may not.
    (r"/(templates|institution/admission/papers)/\{name\}$", ()),
    (r"/regions/\{code\}$", ()),
    (r"/statements?/file\.\{kind\}$", ()),
]
# view -> verb of its `allowed_actions` -> the operation that does it; of an application it is beside the page itself.
STEPS: dict[str, dict[str, str]] = {
    "OrderView": {
        "pay": "pay_order", "cancel": "cancel_order", "take_back": "take_back_order", "confirm": "confirm_completion",
        "send_back": "send_back", "dispute": "dispute_order", "review": "review_order", "settle_price": "settle_price",
        "accept": "accept_order", "decline": "decline_order", "deliver": "deliver_order", "review_enterprise": "review_enterprise",
        "terminate": "propose_termination", "agree_termination": "agree_termination", "refuse_termination": "refuse_termination",
        "withdraw_termination": "withdraw_termination", "claim": "claim_redemption",
    },
    "ApplicationView": {"save": "PUT", "submit": "POST /submission", "withdraw": "POST /withdrawal", "amend": "POST /amendment"},
    "DemandView": {"edit": "edit_demand", "withdraw": "withdraw_demand", "close": "close_demand", "forward": "forward_demand"},
    "ConsultantView": {
        "invite": "invite_consultant", "change": "change_consultant", "revoke": "revoke_invitation", "end": "unlink_consultant",
    },
    "ConsultancyView": {"submit": "submit_consultancy", "end": "leave_institution"},
    "NamingFilingView": {"object": "object_to_filing"},
}
STEPS["OrderPageView"] = STEPS["OrderView"]


def view_of(operation: Operation) -> str | None:
    """Of a page, or of each thing in a list, that says what may be done."""
    answer = operation.answer
    view: Any = get_args(answer)[0] if get_origin(answer) else answer
    return view.__name__ if "allowed_actions" in getattr(view, "__annotations__", {}) else None


def step(page: Operation, view: str, verb: str) -> Operation:
    name = STEPS[view][verb]
    if view != "ApplicationView":
        return next(each for each in OPERATIONS if each.name == name)
    method, _, below = name.partition(" ")
    return next(each for each in OPERATIONS if (each.method, each.path) == (method, page.path + below))


# What is answered where there is nothing, when it is not 404.
NOTHING = {
    # The case before looking: whoever may not do it at all.
    "end_membership": {403, 404}, "delete_attachment": {403, 404},
    # Lists, sums and marks that are empty; they are empty for what is hidden, too.
    "score_of": {200}, "list_score_changes": {200}, "list_consultant_score_changes": {200}, "list_shop_products": {200},
    "list_reviews": {200}, "list_draw_tickets": {200}, "get_favourite": {200}, "remove_favourite": {200},
    # A code of the State's list, known to everybody.
    "get_region": {422},
}
# Not there for its owners either, in this scene.
NOT_YET = {
    "download_draw_bundle": "the list is not committed", "get_round_voiding": "nobody has proposed it",
    "approve_amount": "the case is of another kind",
    "rule_dispute": "the case is of another kind", "approve_filing": "the case is of another kind",
}


def missing(operation: Operation) -> dict[str, Any]:
    """Ids of nothing. A word of our own (a template's name, a file's kind) must be a right one to reach the route at all."""
    return {each.name: _word(each) or MISSING for each in operation.parameters}


def _word(parameter: PathParameter) -> str:
    if parameter.annotation is int:
        return ""
    if isinstance(parameter.annotation, EnumMeta):
        return str(next(iter(parameter.annotation)))
    return next(word for word in ("xlsx", "999999") if re.fullmatch(parameter.pattern, word))


def names_things(operation: Operation) -> bool:
    """Whether there is anything in the path that may be missing."""
    return any(each.annotation is int or each.name == "code" for each in operation.parameters)


def things_in(operation: Operation) -> tuple[str, ...] | None:
    path = f"{operation.method} {operation.path}"
    return next((things for pattern, things in PATHS if re.search(pattern, path)), None)


# --- asking -------------------------------------------------------------------------------------------------------------

SAMPLES = (  # one of these fits every pattern of the bodies; a new pattern that none fits fails loudly
    "文字", SHIZHONG, "R202603-00000001",
    "274906", "202603", "12345678", "2026-06-30", "2026-06-30T08:00:00+08:00", "13853112345", "0531-88886666", "a" * 64, "abcdefgh",
    "1:1", "AUDIT", "https://example.com", "a@example.com", "/", "",
)
FITTING: dict[str, dict[str, Any]] = {  # where the smallest body that the schema allows is refused before anything is looked up
    "edit_demand": DEMAND | {"version": 1},
    "put_public_values": {"values": [{"source": "x", "value": "1"}]},
    "change_consultant": {"name": "张敏", "email": "a@example.com"},
}


def sample(schema: dict[str, Any]) -> Any:
    """The smallest value that a schema of our document allows."""
    if "$ref" in schema:
        return sample(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return sample(schema[several][0])
    match schema.get("type"):
        case "object":
            return {name: sample(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            items = schema.get("items") or {"type": "integer"}
            return [sample(item) for item in schema.get("prefixItems", [items] * schema.get("minItems", 0))]
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        case "boolean":
            return False
        case "string":
            return _text(schema)
    return None


def _text(schema: dict[str, Any]) -> str:
    formats = {"date": "2026-06-30", "date-time": "2026-06-30T08:00:00+08:00"}
    if schema.get("format") in formats:
        return formats[schema["format"]]
    low, high, pattern = schema.get("minLength", 0), schema.get("maxLength", 10**6), schema.get("pattern", "")
    fitting = [text for text in SAMPLES if low <= len(text) <= high and re.search(pattern, text)]
    assert fitting, f"none of SAMPLES fits {schema}"
    return fitting[0]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def code(self) -> str:
        found = re.search(rb'"code":"([a-z_]+)"', self.body)
        return found.group(1).decode() if found else ""


def described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][f"/api/v1{operation.path}"][operation.method.lower()]
    return found


def body_of(operation: Operation) -> Any:
    if operation.name in FITTING:
        return FITTING[operation.name]
    return sample(described(operation)["requestBody"]["content"]["application/json"]["schema"])


async def ask(world: World, operation: Operation, caller: Caller, ids: dict[str, Any], *, body: Any = ...) -> Answer:
    """The answer as bytes, without what differs between any two: the request id."""
    path, headers, sent = operation.path, {"X-Request-Id": "matrix-request"}, {}
    for parameter in operation.parameters:
        path = path.replace("{" + parameter.name + "}", str((missing(operation) | ids)[parameter.name]))
    if caller.member:
        headers["Authorization"] = f"Bearer {caller.member.token}"
    if operation.method in MUTATING:
        headers["Idempotency-Key"] = secrets.token_hex(8)
    if operation.body:
        sent["json"] = body_of(operation) if body is ... else body
    if operation.upload:
        form = FormData()
        form.add_field("file", picture() if "pictures" in operation.path else PDF, filename="a.pdf")
        sent["data"] = form
    required = {each["name"]: ids.get(each["name"]) or sample(each["schema"]) for each in described(operation)["parameters"]
                if each.get("in") == "query" and each["required"]}
    async with world.client.request(operation.method, f"/api/v1{path}", headers=headers, params=required, **sent) as response:
        return Answer(response.status, without(ids, await response.read()))


def without(ids: dict[str, Any], body: bytes) -> bytes:
    """A success may repeat the id that was asked for."""
    for name, value in ids.items():
        body = body.replace(f'"{name}":{value}'.encode(), f'"{name}":0'.encode())
    return body


Scene = tuple[dict[str, Caller], Things]


async def scene(world: World) -> Scene:
    await load_regions()
    shop = await open_shop(world, claim={"requires": "paid", "ratio": "0.60"}, mutual_review=True)
    callers = await everybody(world, shop)
    return callers, await one_of_each(world, shop, callers)
