"""An enterprise posts a demand, changes it while nobody has taken it up, withdraws it, and says how it ended (D14, D15).

No institution hears of it before its words have passed: checking.py.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from handlers import content_checks
from handlers.accounts.consents import require_consent
from handlers.context import Context
from handlers.demands.rules import (
    OPEN_FOR,
    REMIND_WORKING_DAYS,
    AddresseeNotAvailable,
    DemandClosed,
    DemandHeld,
    DemandTaken,
    facts,
    lock_posted,
    refuse_related,
    require_within_reach,
    tell_institutions,
)
from handlers.demands.views import STEPS, DemandView, demand_view
from handlers.moves import move
from handlers.outside import MOBILE_PATTERN
from handlers.personal import normalise, seal
from handlers.products_content import CategoryUnknown
from handlers.qualifications import NotCertified
from handlers.refusals import ChangedMeanwhile, Kind, NotFound, Refusal
from handlers.regions import require_region
from handlers.steps import may
from handlers.transactions import Transaction, transaction
from handlers.working_days import SHANGHAI, due_after
from models.categories import CATEGORIES
from models.demands import DEMAND_GRAPH, CloseReason, DemandState, DemandTarget

FILES_MAX = 5
ALIVE_MAX = 20  # of an enterprise at a time: an open one is told to a thousand institutions
MOBILE = re.compile(rf"(?<!\d){MOBILE_PATTERN}(?!\d)")


class TargetWrong(Refusal):
    kind, code, title = Kind.INVALID, "demand_target_wrong", "请选择一个机构、顾问或产品，或公开发布需求"


class PhoneInText(Refusal):
    """Everybody who hears of a demand reads its text; the phone is for who takes it up."""

    kind, code, title = Kind.INVALID, "phone_in_text", "请勿在标题和正文中填写手机号，联系方式在机构接单后才会显示"


class WantedByPast(Refusal):
    kind, code, title = Kind.INVALID, "wanted_by_past", "期望完成日期不能早于今天"


class TooManyDemands(Refusal):
    """`data.max`."""

    kind, code, title = Kind.CONFLICT, "too_many_demands", "进行中的需求过多，请先关闭已有需求"


class DemandNotTaken(Refusal):
    """Nobody has taken it up: it is withdrawn, not closed."""

    kind, code, title = Kind.CONFLICT, "demand_not_taken", "尚无机构接单，可直接撤回需求"


class NotATaker(Refusal):
    kind, code, title = Kind.INVALID, "not_a_taker", "该机构没有接过此需求"


CONTENT_REFUSALS = (CategoryUnknown, PhoneInText, WantedByPast)


@dataclass(frozen=True, slots=True)
class Content:
    """What an enterprise writes. `wanted_by`: when it needs the service done."""

    title: str
    text: str
    category: str
    region_code: str
    budget_fen: int | None
    wanted_by: date | None
    attachment_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class Addressee:
    institution_id: int | None = None
    consultant_id: int | None = None
    product_id: int | None = None


INSERT = """
INSERT INTO demands (enterprise_id, target, institution_id, consultant_id, product_id, title, text, category, region_code, budget_fen,
  wanted_by, contact_name, contact_phone, state, version, posted_by_id, posted_at, updated_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'held', 1, $14, $15, $15, $16) RETURNING *
"""
ANSWERABLE = """
INSERT INTO demand_responses (demand_id, institution_id, state, is_chosen, notified_at, remind_at)
VALUES ($1, $2, 'notified', true, $3, $4)
"""
EDIT = """
UPDATE demands SET title = $2, text = $3, category = $4, region_code = $5, budget_fen = $6, wanted_by = $7,
  contact_name = coalesce($8, contact_name), contact_phone = coalesce($9, contact_phone), version = version + 1, updated_at = $10,
  spread_at = CASE WHEN target = 'open' AND state = 'open' THEN $10 ELSE spread_at END
WHERE id = $1 RETURNING *
"""
# Whom each kind of target means: an institution that is open for trade, in its own name or behind a consultant or product.
FOUND = {
    DemandTarget.INSTITUTION: "SELECT $1::bigint AS institution_id",
    DemandTarget.CONSULTANT: "SELECT institution_id FROM consultants WHERE id = $1 AND state = 'active'",
    DemandTarget.PRODUCT: "SELECT organisation_id AS institution_id FROM products WHERE id = $1 AND state = 'listed'",
}
OPEN_SHOP = """
SELECT o.id FROM organisations o JOIN ({}) meant ON meant.institution_id = o.id
WHERE o.kind = 'institution' AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL FOR SHARE OF o
"""
# Behind its organisation, as docs/locking.md has it: whoever ends the link waits, and then finds the demand to hand it over.
LOCK_CONSULTANT = "SELECT id FROM consultants WHERE id = $1 AND institution_id = $2 AND state = 'active' FOR SHARE"
OWN_FILES = """
SELECT count(*) FROM attachments WHERE id = ANY($1::bigint[]) AND organisation_id = $2 AND slot = 'demand' AND state = 'stored'
"""
LOCK_ENTERPRISE = "SELECT certified_at, suspended_at FROM organisations WHERE id = $1 FOR NO KEY UPDATE"
ALIVE = "SELECT count(*) FROM demands WHERE enterprise_id = $1 AND state <> 'closed'"
NO_MORE_REMINDERS = "UPDATE demand_responses SET remind_at = NULL WHERE demand_id = $1 AND remind_at IS NOT NULL"


async def post_demand(
    ctx: Context, target: DemandTarget, target_id: int | None, content: Content, contact: Contact
) -> DemandView:
    """提交需求 to an institution, a consultant or a product's institution, or openly by category and district.

    Once its words have passed, whom it is addressed to hears of it; of an open one the sweep of spreading.py tells, in waves.
    Raises TargetWrong, NotCertified, TooManyDemands, AddresseeNotAvailable, RelatedAddressee, OutsideZone, ConsentNeeded,
    RegionUnknown, NotFound for a file, and CONTENT_REFUSALS.
    """
    if (target is DemandTarget.OPEN) is not (target_id is None):
        raise TargetWrong
    refuse_content(ctx, content)
    async with transaction(ctx) as tx:
        await require_consent(tx)
        await _lock_poster(ctx, tx)
        await require_region(tx, content.region_code)
        addressee = await _addressee(ctx, tx, target, target_id)
        demand = await tx.row(
            INSERT, ctx.organisation_id, target, addressee.institution_id, addressee.consultant_id, addressee.product_id,
            content.title, content.text, content.category, content.region_code, content.budget_fen, content.wanted_by,
            *_sealed(ctx, contact), ctx.person_id, ctx.now, ctx.now + OPEN_FOR,
        )
        await _keep_files(ctx, tx, demand.id, content.attachment_ids)
        tx.record("demand.posted", "demand", demand.id, after=demand.state, target=target)
        await _have_checked(tx, demand)
        return tx.reply(await demand_view(ctx, tx, demand.id), 201)


def refuse_content(ctx: Context, content: Content) -> None:
    """Of what is written, before anything is locked or stored. Raises CONTENT_REFUSALS."""
    if content.category not in CATEGORIES:
        raise CategoryUnknown
    written = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", f"{content.title}。{content.text}"))
    if MOBILE.search(written):
        raise PhoneInText
    if content.wanted_by is not None and content.wanted_by < ctx.now.astimezone(SHANGHAI).date():
        raise WantedByPast


async def ask_institution(tx: Transaction, demand: Any, institution_id: int) -> None:
    """One institution is told of a demand that is addressed to it, and its consultant with it."""
    due_at = due_after(tx.ctx.now, REMIND_WORKING_DAYS)
    await tx.run(ANSWERABLE, demand.id, institution_id, tx.ctx.now, due_at)
    person_id = await tx.value(
        "SELECT person_id FROM consultants WHERE id = $1 AND institution_id = $2 AND state = 'active'", demand.consultant_id, institution_id
    )
    tx.announce(
        "demand_posted", "demand", demand.id, organisation_id=institution_id, person_id=person_id,
        **await facts(tx, demand) | {"reply_by": due_at.isoformat()},
    )


async def edit_demand(ctx: Context, demand_id: int, version: int, content: Content, contact: Contact | None) -> DemandView:
    """修改需求 while nobody has taken it up; whoever knows it hears that it changed. Without `contact` the old one stays.

    Other words are checked, and meanwhile it waits. An open one may now concern others: they are told too. Raises NotFound,
    DemandTaken, DemandClosed, ChangedMeanwhile, ConsentNeeded, RegionUnknown and CONTENT_REFUSALS.
    """
    refuse_content(ctx, content)
    async with transaction(ctx) as tx:
        demand = await lock_posted(ctx, tx, demand_id)
        refuse_unless(ctx, demand, "edit")
        if demand.version != version:
            raise ChangedMeanwhile
        if contact:
            await require_consent(tx)
        await require_region(tx, content.region_code)
        has_other_words = (demand.title, demand.text) != (content.title, content.text)
        demand = await tx.row(
            EDIT, demand_id, content.title, content.text, content.category, content.region_code, content.budget_fen, content.wanted_by,
            *(_sealed(ctx, contact) if contact else (None, None)), ctx.now,
        )
        await tx.run("DELETE FROM demand_files WHERE demand_id = $1", demand_id)
        await _keep_files(ctx, tx, demand_id, content.attachment_ids)
        tx.record("demand.edited", "demand", demand_id, version=demand.version)
        if has_other_words:
            await _have_checked(tx, await _hold(tx, demand))
        elif demand.state == DemandState.OPEN:
            await tell_institutions(tx, "demand_posted", demand, reason="changed")
        return tx.reply(await demand_view(ctx, tx, demand_id))


async def withdraw_demand(ctx: Context, demand_id: int) -> DemandView:
    """撤回需求 while nobody has taken it up. Raises NotFound, DemandTaken, DemandClosed."""
    async with transaction(ctx) as tx:
        demand = await lock_posted(ctx, tx, demand_id)
        refuse_unless(ctx, demand, "withdraw")
        await close(tx, demand, CloseReason.WITHDRAWN)
        return tx.reply(await demand_view(ctx, tx, demand_id))


async def close_demand(ctx: Context, demand_id: int, institution_id: int | None) -> DemandView:
    """关闭需求 that was taken up: with whom it worked out, or with nobody. There is no way back: one posts another.

    Raises NotFound, DemandNotTaken, DemandClosed, NotATaker.
    """
    async with transaction(ctx) as tx:
        demand = await lock_posted(ctx, tx, demand_id)
        refuse_unless(ctx, demand, "close")
        if institution_id is not None and not await tx.value(
            "SELECT true FROM demand_responses WHERE demand_id = $1 AND institution_id = $2 AND taken_at IS NOT NULL",
            demand_id, institution_id,
        ):
            raise NotATaker
        reason = CloseReason.GIVEN_UP if institution_id is None else CloseReason.SETTLED
        await close(tx, demand, reason, settled_with_id=institution_id)
        return tx.reply(await demand_view(ctx, tx, demand_id))


def refuse_unless(ctx: Context, demand: Any, verb: str) -> None:
    """By the table that its page offers by. Raises DemandClosed; DemandNotTaken to close it; DemandTaken, DemandHeld for the others."""
    if may(ctx, STEPS, verb, demand.state):
        return
    if demand.state == DemandState.CLOSED:
        raise DemandClosed(reason=demand.close_reason)
    if verb == "close":
        raise DemandNotTaken
    raise DemandTaken if demand.state == DemandState.TAKEN else DemandHeld


async def close(tx: Transaction, demand: Any, reason: CloseReason, **changes: object) -> None:
    """End of a locked demand: nobody hears of it any more or judges its words, and its institutions hear that it is over.

    What anybody was asked to do about it is pointless, also for those who only had the notice.
    """
    closed = await move(
        tx, DEMAND_GRAPH, demand, DemandState.CLOSED, note={"reason": reason}, close_reason=reason, closed_at=tx.ctx.now,
        updated_at=tx.ctx.now, spread_at=None, alternatives_at=None, **changes,
    )
    await tx.run(NO_MORE_REMINDERS, demand.id)
    await content_checks.withdraw(tx, "demand", demand.id)
    await tell_institutions(tx, "demand_closed", closed, closing=reason)
    tx.announce("demand_over", "demand", demand.id)


# --- steps -----------------------------------------------------------------------------------------------------------------------


async def _have_checked(tx: Transaction, demand: Any) -> None:
    """Of a held demand: where there is nothing to check it is released at once."""
    await content_checks.ask(tx, "demand", demand.id, f"{demand.title}\n{demand.text}")


async def _hold(tx: Transaction, demand: Any) -> Any:
    """While its new words are checked, nobody is told of it, asked for an answer or offered others."""
    if demand.state == DemandState.HELD:
        return demand
    await tx.run(NO_MORE_REMINDERS, demand.id)
    return await move(tx, DEMAND_GRAPH, demand, DemandState.HELD, spread_at=None, alternatives_at=None)


async def _lock_poster(ctx: Context, tx: Transaction) -> None:
    """The enterprise's row: two of its demands are counted one after the other. Raises NotCertified, TooManyDemands."""
    enterprise = await tx.row(LOCK_ENTERPRISE, ctx.organisation_id)
    if enterprise.certified_at is None or enterprise.suspended_at is not None:
        raise NotCertified
    if await tx.value(ALIVE, ctx.organisation_id) >= ALIVE_MAX:
        raise TooManyDemands(max=ALIVE_MAX)


async def _addressee(ctx: Context, tx: Transaction, target: DemandTarget, target_id: int | None) -> Addressee:
    """The institution is locked against a suspension in the same moment, the consultant against the end of the link.

    Raises AddresseeNotAvailable, RelatedAddressee, OutsideZone.
    """
    if target is DemandTarget.OPEN:
        return Addressee()
    institution_id = await tx.value(OPEN_SHOP.format(FOUND[target]), target_id)
    if institution_id is None:
        raise AddresseeNotAvailable
    if target is DemandTarget.CONSULTANT and await tx.value(LOCK_CONSULTANT, target_id, institution_id) is None:
        raise AddresseeNotAvailable
    await refuse_related(tx, ctx.organisation_id, institution_id)
    await require_within_reach(tx, ctx.organisation_id, institution_id)
    return Addressee(
        institution_id, target_id if target is DemandTarget.CONSULTANT else None, target_id if target is DemandTarget.PRODUCT else None
    )


def _sealed(ctx: Context, contact: Contact) -> tuple[bytes, bytes]:
    return seal(ctx.settings, contact.name), seal(ctx.settings, normalise(contact.phone))


async def _keep_files(ctx: Context, tx: Transaction, demand_id: int, attachment_ids: Sequence[int]) -> None:
    wanted = sorted(set(attachment_ids))
    if await tx.value(OWN_FILES, wanted, ctx.organisation_id) != len(wanted):
        raise NotFound(slot="demand")
    await tx.run("INSERT INTO demand_files (demand_id, attachment_id) SELECT $1, unnest($2::bigint[])", demand_id, wanted)
