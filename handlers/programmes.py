"""Programmes, their versioned policies and voucher types (F25; docs/decisions/0041)."""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, TypedDict

import asyncpg
import orjson
from pydantic import BaseModel, ConfigDict, Field

from handlers.context import Context
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.regions import OutsideJurisdiction, prefix_of, reaches
from handlers.transactions import Transaction, row, rows, transaction
from models.accounts import MEMBER_ROLES, Role
from models.programmes import POLICY_GRAPH, PROGRAMME_GRAPH, PolicyState, ProgrammeState


class ProgrammeExists(Refusal):
    kind, code, title = Kind.CONFLICT, "programme_exists", "该地区已有同名项目"


class ProgrammeNotReady(Refusal):
    """`missing` lists policy | voucher_types; a programme whose policy allocates none needs no types."""

    kind, code, title = Kind.CONFLICT, "programme_not_ready", "项目尚缺已确认的政策或券种，不能发布"


class ProgrammeStateWrong(Refusal):
    kind, code, title = Kind.CONFLICT, "programme_state_wrong", "项目当前状态不能进行此操作"


class PolicyDecided(Refusal):
    kind, code, title = Kind.CONFLICT, "policy_decided", "该政策版本已确认或已作废，不能再更改"


class BudgetBelowGranted(Refusal):
    """`data.granted_fen`: what is granted is granted."""

    kind, code, title = Kind.CONFLICT, "budget_below_granted", "预算不能低于已批准的服务券总额"


class VoucherTypeExists(Refusal):
    kind, code, title = Kind.CONFLICT, "voucher_type_exists", "该项目已有相同编码的券种"


class Claim(BaseModel):
    """兑付. `ratio` of the actual amount is paid, 1 where a programme states none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requires: Literal["paid", "completed"] = "completed"
    ratio: Annotated[Decimal, Field(gt=0, le=1, decimal_places=4)] = Decimal(1)
    basis: Literal["voucher_paid", "actual_amount"] = "actual_amount"


class Rules(BaseModel):
    """What a programme decides; the defaults are for a new one. Each switch and each of its values does something: two people sign them.

    The yearly cap of wins stands at each voucher type. `None` for a number means: no limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # none: the programme hands out no vouchers, it brings supply and demand together.
    allocation: Literal["lottery", "approved_amount", "first_come", "none"] = "lottery"
    # Institutions apply for the role of a service institution, and offer what stands in its standard list (D03, D12).
    supermarket: bool = False
    # Divisions whose companies may be enterprise users (D02); empty: of everywhere.
    zone: tuple[Annotated[str, Field(pattern="^[1-9][0-9]{5}$")], ...] = ()
    # What may be granted in all (approved_amount); the money of rounds is planned by their quotas.
    budget_fen: Annotated[int, Field(ge=1, le=10**15)] | None = None
    product_use_cap_per_year: Annotated[int, Field(ge=1, le=1000)] | None = None
    pricing: Literal["fixed", "contract"] = "fixed"
    price_confirm: Literal["never", "if_differs", "always"] = "never"
    max_voucher: tuple[Literal["product_max_deduct", "order_amount"], ...] = ("product_max_deduct", "order_amount")
    contract_upload: Literal["none", "at_pay"] = "none"
    contract_after_award: bool = False
    direction_match: Literal["type", "category_content"] = "type"
    pay_auth: Literal["password", "none"] = "password"
    payment_review: Literal["none", "park", "centre"] = "none"
    provider_accept: bool = True
    accept_working_days: Annotated[int, Field(ge=1, le=60)] = 5
    deliver_working_days: Annotated[int, Field(ge=1, le=250)] = 20  # from there the buyer may have a reviewer rule (docs/decisions/0245)
    completion: Literal["buyer_confirm", "none"] = "buyer_confirm"
    rework_max: Annotated[int, Field(ge=0, le=100)] | None = 3
    claim: Claim | None = None
    review: bool = True
    auto_review_after_days: Annotated[int, Field(ge=1, le=365)] | None = 7
    auto_review_grade: Literal["good", "medium", "bad"] = "good"
    review_replace_days: Annotated[int, Field(ge=0, le=365)] = 30
    mutual_review: bool = False
    requalify_on_update: Literal["none", "sensitive_fields", "always"] = "none"
    release_grace_days: Annotated[int, Field(ge=0, le=365)] = 7
    unpaid_timeout_days: Annotated[int, Field(ge=1, le=365)] = 15
    give_back_days: Annotated[int, Field(ge=0, le=365)] = 10  # after the issue; 0: a voucher cannot be given back


# What Jinan's manual states; everything else there is the default.
JINAN = Rules(product_use_cap_per_year=2)

# What Zhengzhou's manual states (C23-C44): amounts are approved for directions, the contract sets the price, the park of the enterprise
# reviews the payment, and nobody accepts, confirms or rates.
ZHENGZHOU = Rules(
    allocation="approved_amount", pricing="contract", price_confirm="if_differs", max_voucher=("order_amount",),
    contract_upload="at_pay", contract_after_award=True, direction_match="category_content", payment_review="park",
    provider_accept=False, completion="none", claim=Claim(requires="paid", ratio=Decimal("0.60")), review=False,
    auto_review_after_days=None, requalify_on_update="always",
)

# What the manual of Suzhou's Industrial Park states (D01-D22): no vouchers, a zone, and both sides rate each other.
SUZHOU = Rules(allocation="none", supermarket=True, zone=("320571",), mutual_review=True)


class ProgrammeView(TypedDict):
    id: int
    name: str
    region_code: str
    state: ProgrammeState
    policy_number: int | None
    voucher_types: list["VoucherTypeView"]


class VoucherTypeView(TypedDict):
    id: int
    code: str
    name: str
    is_universal: bool
    categories: list[str]
    face_fen: int
    annual_win_cap: int | None


class PolicyView(TypedDict):
    id: int
    programme_id: int
    number: int
    state: PolicyState
    rules: dict[str, Any]
    made_by_id: int
    confirmed_by_id: int | None
    confirmed_at: datetime | None


@lru_cache(maxsize=256)
def _parsed(rules: bytes) -> Rules:
    return Rules.model_validate_json(rules)


def rules_of(policy: Any) -> Rules:
    """The typed rules of a `policies` row; parsed once for each content."""
    return _parsed(orjson.dumps(policy.rules))


async def current_policy(tx: Transaction, programme_id: int) -> Any:
    """The newest confirmed version (a `policies` row) that new rounds and orders get. Raises ProgrammeNotReady without one."""
    found = await tx.row(
        "SELECT * FROM policies WHERE programme_id = $1 AND state = 'confirmed' ORDER BY number DESC LIMIT 1", programme_id
    )
    if found is None:
        raise ProgrammeNotReady(missing=["policy"])
    return found


NO_OFFICE = frozenset({None, Role.CONSULTANT, *MEMBER_ROLES})  # a consultant has no jurisdiction either, and no division to show it


def manages(ctx: Context, region_code: str) -> bool:
    """Whether the actor is an official whose jurisdiction reaches a programme of that division."""
    return ctx.actor.role not in NO_OFFICE and reaches(ctx.actor, region_code)


def managed_prefix(ctx: Context) -> str | None:
    """What the codes of the actor's divisions begin with, for `LIKE $n || '%'`; None (matching nothing) for who manages none."""
    if ctx.actor.role in NO_OFFICE or ctx.actor.park_id is not None:
        return None
    return prefix_of(ctx.actor.region_code) if ctx.actor.region_code else ""


async def lock_programme(ctx: Context, tx: Transaction, programme_id: int) -> Any:
    """A programme of the acting official's jurisdiction. NO KEY: rows that refer to it may be added meanwhile."""
    programme = await tx.row("SELECT * FROM programmes WHERE id = $1 FOR NO KEY UPDATE", programme_id)
    if programme is None or not manages(ctx, programme.region_code):
        raise NotFound
    return programme


# --- making ----------------------------------------------------------------------------------------------------------


WITHOUT_VOUCHERS = """
SELECT rules ->> 'allocation' = 'none' FROM policies WHERE programme_id = $1 AND state = 'confirmed' ORDER BY number DESC LIMIT 1
"""


async def draft_programme(ctx: Context, name: str, region_code: str) -> ProgrammeView:
    """Raises OutsideJurisdiction, ProgrammeExists."""
    if not manages(ctx, region_code):
        raise OutsideJurisdiction
    async with transaction(ctx) as tx:
        programme_id = await tx.value(
            "INSERT INTO programmes (name, region_code, state, made_by_id, created_at) VALUES ($1, $2, 'draft', $3, $4)"
            " ON CONFLICT (region_code, name) DO NOTHING RETURNING id", name, region_code, ctx.person_id, ctx.now,
        )
        if programme_id is None:
            raise ProgrammeExists
        tx.record("programme.drafted", "programme", programme_id, after="draft", name=name, region_code=region_code)
        return tx.reply(programme_view(await tx.row(SELECT + " WHERE p.id = $1", programme_id)))


async def add_voucher_type(
    ctx: Context, programme_id: int, *, code: str, name: str, categories: list[str], face_fen: int, annual_win_cap: int | None,
) -> VoucherTypeView:
    """A type without categories is universal. It is never edited: rounds and wallets stand on it. Raises VoucherTypeExists."""
    async with transaction(ctx) as tx:
        programme = await lock_programme(ctx, tx, programme_id)
        if programme.state == ProgrammeState.ENDED:
            raise ProgrammeStateWrong(state=programme.state)
        try:
            made = await tx.row(
                "INSERT INTO voucher_types (programme_id, code, name, is_universal, categories, face_fen, annual_win_cap,"
                " created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
                programme_id, code, name, not categories, categories, face_fen, annual_win_cap, ctx.now,
            )
        except asyncpg.UniqueViolationError as error:
            raise VoucherTypeExists from error
        tx.record("voucher_type.added", "voucher_type", made.id, code=code, face_fen=face_fen, annual_win_cap=annual_win_cap)
        return tx.reply(voucher_type_view(made))


async def publish_programme(ctx: Context, programme_id: int) -> ProgrammeView:
    """Show it to enterprises. Raises ProgrammeStateWrong, ProgrammeNotReady."""
    return await _move_programme(ctx, programme_id, ProgrammeState.DRAFT, ProgrammeState.PUBLISHED)


async def end_programme(ctx: Context, programme_id: int) -> ProgrammeView:
    """No new rounds, grants or qualifications; vouchers that are out can be used to their last day. Raises ProgrammeStateWrong."""
    return await _move_programme(ctx, programme_id, ProgrammeState.PUBLISHED, ProgrammeState.ENDED)


async def _move_programme(ctx: Context, programme_id: int, start: ProgrammeState, to: ProgrammeState) -> ProgrammeView:
    async with transaction(ctx) as tx:
        programme = await lock_programme(ctx, tx, programme_id)
        if programme.state != start:
            raise ProgrammeStateWrong(state=programme.state)
        now = await tx.row(SELECT + " WHERE p.id = $1", programme_id)
        needed = {"policy": now.policy_number}
        if not await tx.value(WITHOUT_VOUCHERS, programme_id):
            needed["voucher_types"] = now.voucher_types
        missing = [word for word, there in needed.items() if not there]
        if missing:
            raise ProgrammeNotReady(missing=missing)
        await move(tx, PROGRAMME_GRAPH, programme, to)
        return tx.reply(programme_view(await tx.row(SELECT + " WHERE p.id = $1", programme_id)))


# --- policies --------------------------------------------------------------------------------------------------------


async def draft_policy(ctx: Context, programme_id: int, rules: Rules) -> PolicyView:
    """The next version, waiting for a second person."""
    async with transaction(ctx) as tx:
        programme = await lock_programme(ctx, tx, programme_id)
        if programme.state == ProgrammeState.ENDED:
            raise ProgrammeStateWrong(state=programme.state)
        policy = await tx.row(
            "INSERT INTO policies (programme_id, number, rules, state, made_by_id, created_at)"
            " SELECT $1, coalesce(max(number), 0) + 1, $2, 'draft', $3, $4 FROM policies WHERE programme_id = $1 RETURNING *",
            programme_id, rules.model_dump(mode="json"), ctx.person_id, ctx.now,
        )
        tx.record("policy.drafted", "policy", policy.id, after="draft", number=policy.number)
        return tx.reply(policy_view(policy))


async def confirm_policy(ctx: Context, programme_id: int, policy_id: int) -> PolicyView:
    """By another person than its maker (four eyes); from now on it holds for new rounds and orders, and never changes.

    Raises PolicyDecided, SecondPersonNeeded, BudgetBelowGranted.
    """
    async with transaction(ctx) as tx:
        policy = await _lock_policy_draft(ctx, tx, programme_id, policy_id)
        if policy.made_by_id == ctx.person_id:
            raise SecondPersonNeeded
        await _set_budget(tx, programme_id, rules_of(policy).budget_fen)
        policy = await move(
            tx, POLICY_GRAPH, policy, PolicyState.CONFIRMED, confirmed_by_id=ctx.person_id, confirmed_at=ctx.now
        )
        return tx.reply(policy_view(policy))


async def _set_budget(tx: Transaction, programme_id: int, budget_fen: int | None) -> None:
    """The budget stands at the programme too, where a CHECK compares it with what is granted."""
    granted = await tx.value("SELECT granted_fen FROM programmes WHERE id = $1", programme_id)
    if budget_fen is not None and budget_fen < granted:
        raise BudgetBelowGranted(granted_fen=granted)
    await tx.run("UPDATE programmes SET budget_fen = $2 WHERE id = $1", programme_id, budget_fen)


async def discard_policy(ctx: Context, programme_id: int, policy_id: int) -> PolicyView:
    async with transaction(ctx) as tx:
        policy = await _lock_policy_draft(ctx, tx, programme_id, policy_id)
        return tx.reply(policy_view(await move(tx, POLICY_GRAPH, policy, PolicyState.DISCARDED)))


async def _lock_policy_draft(ctx: Context, tx: Transaction, programme_id: int, policy_id: int) -> Any:
    await lock_programme(ctx, tx, programme_id)
    policy = await tx.row("SELECT * FROM policies WHERE id = $1 AND programme_id = $2 FOR UPDATE", policy_id, programme_id)
    if policy is None:
        raise NotFound
    if policy.state != PolicyState.DRAFT:
        raise PolicyDecided(state=policy.state)
    return policy


# --- looking ---------------------------------------------------------------------------------------------------------

SELECT = """
SELECT p.*,
  (SELECT max(number) FROM policies WHERE programme_id = p.id AND state = 'confirmed') AS policy_number,
  (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.id), '[]') FROM voucher_types t WHERE t.programme_id = p.id) AS voucher_types
FROM programmes p
"""


async def list_programmes(ctx: Context, page: Page) -> PageView[ProgrammeView]:
    """Newest first. Drafts are seen by the officials of their region only."""
    key = page.key()
    found = await rows(
        SELECT + " WHERE (p.state <> 'draft' OR p.region_code LIKE $1 || '%') AND ($2::bigint IS NULL OR p.id < $2)"
        " ORDER BY p.id DESC LIMIT $3",
        managed_prefix(ctx), key[0] if key else None, page.limit + 1,
    )
    return page_of(found, page, programme_view, lambda each: [each.id])


async def get_programme(ctx: Context, programme_id: int) -> ProgrammeView:
    found = await row(SELECT + " WHERE p.id = $1", programme_id)
    if found is None or (found.state == ProgrammeState.DRAFT and not manages(ctx, found.region_code)):
        raise NotFound
    return programme_view(found)


async def list_policies(ctx: Context, programme_id: int, page: Page) -> PageView[PolicyView]:
    """All versions, newest first, for the officials of the programme's region."""
    await _require_own_programme(ctx, programme_id)
    key = page.key()
    found = await rows(
        "SELECT * FROM policies WHERE programme_id = $1 AND ($2::bigint IS NULL OR number < $2) ORDER BY number DESC LIMIT $3",
        programme_id, key[0] if key else None, page.limit + 1,
    )
    return page_of(found, page, policy_view, lambda each: [each.number])


async def _require_own_programme(ctx: Context, programme_id: int) -> None:
    found = await row("SELECT region_code FROM programmes WHERE id = $1", programme_id)
    if found is None or not manages(ctx, found.region_code):
        raise NotFound


def voucher_type_view(row: Any) -> VoucherTypeView:
    """`row` is a record or the same as JSON."""
    return {
        "id": row["id"], "code": row["code"], "name": row["name"], "is_universal": row["is_universal"],
        "categories": row["categories"], "face_fen": row["face_fen"], "annual_win_cap": row["annual_win_cap"],
    }


def programme_view(row: Any) -> ProgrammeView:
    return {
        "id": row.id, "name": row.name, "region_code": row.region_code, "state": row.state, "policy_number": row.policy_number,
        "voucher_types": [voucher_type_view(each) for each in row.voucher_types],
    }


def policy_view(row: Any) -> PolicyView:
    return {
        "id": row.id, "programme_id": row.programme_id, "number": row.number, "state": row.state, "rules": row.rules,
        "made_by_id": row.made_by_id, "confirmed_by_id": row.confirmed_by_id, "confirmed_at": row.confirmed_at,
    }
