"""Whether an institution may trade: its validity ends by itself, a suspension is an administrator's with a reason and an end (G9).

Who may not trade is found by nobody, lists nothing and gets no new orders; orders that run go on, and so does its own access.
"""

from datetime import date, datetime, timedelta
from typing import Any, TypedDict

from handlers.context import Context
from handlers.moves import move
from handlers.refusals import Kind, NotFound, Refusal
from handlers.regions import OutsideJurisdiction, reaches
from handlers.transactions import Transaction, transaction
from handlers.working_days import END_OF_DAY, SHANGHAI
from models.institutions import INSTITUTION_GRAPH, InstitutionState

SUSPENSION_DAYS_MAX = 3 * 366
# Days before the last day, each announced once: two months to gather the papers, two weeks as the last call.
RUNGS = {"adm-60": 60, "adm-14": 14}

LOCK = """
SELECT i.*, o.name, o.region_code FROM institutions i JOIN organisations o ON o.id = i.organisation_id
WHERE i.organisation_id = $1 FOR NO KEY UPDATE
"""
DUE_TO_EXPIRE = """
SELECT * FROM institutions WHERE state = 'admitted' AND valid_until < $1 ORDER BY valid_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
DUE_TO_RESUME = """
SELECT * FROM institutions WHERE state = 'suspended' AND suspended_until <= $1 ORDER BY suspended_until LIMIT $2
FOR NO KEY UPDATE SKIP LOCKED
"""
REMIND = """
WITH due AS (
  SELECT i.organisation_id, i.valid_until FROM institutions i
  WHERE i.state = 'admitted' AND i.valid_until > $2 AND i.valid_until <= $3
    AND NOT EXISTS (SELECT 1 FROM reminders r
                    WHERE r.organisation_id = i.organisation_id AND r.valid_until = i.valid_until AND r.rung = $1)
  LIMIT $5
), sent AS (
  INSERT INTO reminders (organisation_id, valid_until, rung, sent_at) SELECT organisation_id, valid_until, $1, $4 FROM due
  ON CONFLICT DO NOTHING RETURNING organisation_id, valid_until
)
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'institution_standing', organisation_id, 'institution', organisation_id,
       jsonb_build_object('standing', 'expiring', 'valid_until', valid_until), $4
FROM sent
"""


class InstitutionStateWrong(Refusal):
    """`data.state`: what the institution is; only one that is admitted is suspended, only a suspended one resumed."""

    kind, code, title = Kind.CONFLICT, "institution_state_wrong", "服务机构当前状态不能进行此操作"


class SuspensionEndWrong(Refusal):
    kind, code, title = Kind.INVALID, "suspension_end_wrong", "暂停截止日期应在今天之后，且不超过三年"


class StandingView(TypedDict):
    """`valid_until` is the last day; null for who was admitted without an end. `suspended_until` with its reason, or both null."""

    institution_id: int
    name: str
    state: InstitutionState
    valid_until: date | None
    suspended_until: datetime | None
    suspension_reason: str | None


async def suspend(ctx: Context, institution_id: int, reason: str, until: date) -> StandingView:
    """Until the end of `until` (Shanghai). Raises NotFound, OutsideJurisdiction, InstitutionStateWrong, SuspensionEndWrong."""
    today = ctx.now.astimezone(SHANGHAI).date()
    if not today < until <= today + timedelta(days=SUSPENSION_DAYS_MAX):
        raise SuspensionEndWrong
    async with transaction(ctx) as tx:
        institution = await _lock(tx, institution_id, InstitutionState.ADMITTED)
        end = datetime.combine(until, END_OF_DAY)
        await move(
            tx, INSTITUTION_GRAPH, institution, InstitutionState.SUSPENDED, note={"reason": reason, "until": until.isoformat()},
            suspended_until=end, suspension_reason=reason, updated_at=ctx.now,
        )
        await tx.run("UPDATE organisations SET suspended_at = $2 WHERE id = $1", institution_id, ctx.now)
        _announce(tx, institution_id, standing="suspended", reason=reason, valid_until=until.isoformat())
        return tx.reply(_view(await tx.row(LOCK, institution_id)))


async def resume(ctx: Context, institution_id: int) -> StandingView:
    """Lift a suspension before its end. Raises NotFound, OutsideJurisdiction, InstitutionStateWrong."""
    async with transaction(ctx) as tx:
        await _end_suspension(tx, await _lock(tx, institution_id, InstitutionState.SUSPENDED))
        return tx.reply(_view(await tx.row(LOCK, institution_id)))


async def resume_due(ctx: Context, limit: int = 100) -> int:
    """Sweep: suspensions whose end has come. Returns how many."""
    async with transaction(ctx) as tx:
        due = await tx.rows(DUE_TO_RESUME, ctx.now, limit)
        for institution in due:
            await _end_suspension(tx, institution)
    return len(due)


async def expire_due(ctx: Context, limit: int = 100) -> int:
    """Sweep: admissions whose last day is over. Returns how many."""
    async with transaction(ctx) as tx:
        due = await tx.rows(DUE_TO_EXPIRE, ctx.now.astimezone(SHANGHAI).date(), limit)
        for institution in due:
            await _expire(tx, institution)
            await tx.run("UPDATE organisations SET suspended_at = $2 WHERE id = $1", institution.organisation_id, ctx.now)
    return len(due)


async def remind_expiring(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: 60 and 14 days before the last day; a rung that was missed is skipped when the next one is due. Returns how many."""
    today, sent = ctx.now.astimezone(SHANGHAI).date(), 0
    nearer = (*list(RUNGS.values())[1:], 0)
    for (rung, days), following in zip(RUNGS.items(), nearer, strict=True):
        async with transaction(ctx) as tx:
            sent += await tx.run(REMIND, rung, today + timedelta(days=following), today + timedelta(days=days), ctx.now, limit)
    return sent


async def _end_suspension(tx: Transaction, institution: Any) -> None:
    """Back to work, unless the admission has run out meanwhile."""
    over = institution.valid_until is not None and institution.valid_until < tx.ctx.now.astimezone(SHANGHAI).date()
    if over:
        await _expire(tx, institution)
        return
    await move(
        tx, INSTITUTION_GRAPH, institution, InstitutionState.ADMITTED, suspended_until=None, suspension_reason=None, updated_at=tx.ctx.now
    )
    await tx.run("UPDATE organisations SET suspended_at = NULL WHERE id = $1", institution.organisation_id)
    _announce(tx, institution.organisation_id, standing="resumed")


async def _expire(tx: Transaction, institution: Any) -> None:
    await move(
        tx, INSTITUTION_GRAPH, institution, InstitutionState.EXPIRED, suspended_until=None, suspension_reason=None, updated_at=tx.ctx.now
    )
    _announce(tx, institution.organisation_id, standing="expired", valid_until=institution.valid_until.isoformat())


def _announce(tx: Transaction, institution_id: int, **facts: Any) -> None:
    tx.announce("institution_standing", "institution", institution_id, organisation_id=institution_id, **facts)


async def _lock(tx: Transaction, institution_id: int, state: InstitutionState) -> Any:
    institution = await tx.row(LOCK, institution_id)
    if institution is None:
        raise NotFound
    if not reaches(tx.ctx.actor, institution.region_code):
        raise OutsideJurisdiction
    if institution.state != state:
        raise InstitutionStateWrong(state=institution.state)
    return institution


def _view(institution: Any) -> StandingView:
    return {
        "institution_id": institution.organisation_id, "name": institution.name, "state": InstitutionState(institution.state),
        "valid_until": institution.valid_until, "suspended_until": institution.suspended_until,
        "suspension_reason": institution.suspension_reason,
    }
