"""One engine for every application: draft, submit, withdraw, return, resubmit, approve, reject, amend (C14, C15, E03, E12, G1-G8)."""

from collections.abc import Mapping
from typing import Any

from handlers.accounts.consents import require_consent
from handlers.application_forms import ProblemView, draft_problems_of, filled, problems_of, title_of
from handlers.application_kinds import KINDS, Case, KindRules, Requalify
from handlers.application_views import ApplicationView, FormView, application_view, form_view, may, personal_of
from handlers.approvals import DECIDERS, Decision, DecisionIncomplete, open_approval, withdraw_approval
from handlers.context import Context
from handlers.moves import move
from handlers.outside import tell_outside
from handlers.personal import blind_index, mailbox_index, open_sealed, seal
from handlers.refusals import ChangedMeanwhile, Kind, NotFound, Refusal
from handlers.transactions import Transaction, row, transaction
from handlers.working_days import due_after
from models.approvals import APPLICATION_GRAPH, ApplicationKind, ApplicationState, ApprovalKind


class FormIncomplete(Refusal):
    """`data.items`: [{field, title, problem}]; files have the field `files.<slot>`."""

    kind, code, title = Kind.INVALID, "form_incomplete", "申请表未填写完整或填写有误"


class ApplicationNotEditable(Refusal):
    """`data.state`: an approved form is amended instead, a submitted one withdrawn first."""

    kind, code, title = Kind.CONFLICT, "application_not_editable", "申请当前状态不能修改或提交"


class ApplicationNotWithdrawable(Refusal):
    """Decided; or an amendment, whose withdrawal would take the standing that was already granted with it."""

    kind, code, title = Kind.CONFLICT, "application_not_withdrawable", "申请当前状态不能撤回"


class ApplicationNotApproved(Refusal):
    """Only an approved form is amended."""

    kind, code, title = Kind.CONFLICT, "application_not_approved", "申请尚未审核通过"


ALIVE = """
SELECT * FROM applications WHERE organisation_id = $1 AND kind = $2 AND programme_id IS NOT DISTINCT FROM $3
AND state NOT IN ('rejected', 'withdrawn') FOR UPDATE
"""
LATEST = """
SELECT * FROM applications WHERE organisation_id = $1 AND kind = $2 AND programme_id IS NOT DISTINCT FROM $3 ORDER BY id DESC LIMIT 1
"""
# Personal values are shown masked, so nobody could type them over from an earlier application: they are taken along.
INSERT = """
INSERT INTO applications (organisation_id, kind, programme_id, state, form_version, form, contact_name, contact_phone,
  contact_email, legal_person_name, legal_person_id_number, bank_account, applied_by_id, version, created_at, updated_at)
SELECT $1, $2, $3, 'draft', $4, '{}', p.contact_name, p.contact_phone, p.contact_email,
  p.legal_person_name, p.legal_person_id_number, p.bank_account,
  $5, 1, $6, $6
FROM (SELECT 1) one LEFT JOIN LATERAL (
  SELECT * FROM applications WHERE organisation_id = $1 AND kind = $2 AND programme_id IS NOT DISTINCT FROM $3 ORDER BY id DESC LIMIT 1
) p ON true
ON CONFLICT DO NOTHING RETURNING *
"""
OWN_FILES = "SELECT id, slot FROM attachments WHERE id = ANY($1) AND organisation_id = $2 AND state = 'stored' FOR KEY SHARE"
PUT_FILES = """
WITH gone AS (
  DELETE FROM application_files WHERE application_id = $1 AND NOT (attachment_id = ANY($2))
)
INSERT INTO application_files (application_id, attachment_id, slot)
SELECT $1, a.id, a.slot FROM attachments a WHERE a.id = ANY($2) ON CONFLICT DO NOTHING
"""
FILES = "SELECT slot, attachment_id FROM application_files WHERE application_id = $1 ORDER BY slot, attachment_id"
TOLD_ANYWAY = """
SELECT true FROM memberships m JOIN persons p ON p.id = m.person_id
WHERE m.organisation_id = $1 AND m.state = 'active' AND m.role IN ('owner', 'handler') AND p.email_index = $2 LIMIT 1
"""
ORGANISATION = "SELECT * FROM organisations WHERE id = $1"


def form_of(kind: ApplicationKind) -> FormView:
    """What a phone needs to draw the form that is in force."""
    return form_view(KINDS[kind])


async def get_application(ctx: Context, kind: ApplicationKind, programme_id: int | None = None) -> ApplicationView:
    """The organisation's newest application of this kind, whatever became of it. Raises NotFound."""
    found = await row(LATEST, ctx.organisation_id, kind, programme_id)
    if found is None:
        raise NotFound
    return await application_view(ctx, found)


# --- the applicant ----------------------------------------------------------------------------------------------------


async def save_draft(
    ctx: Context, kind: ApplicationKind, programme_id: int | None, form: Mapping[str, Any], files: Mapping[str, list[int]]
) -> ApplicationView:
    """暂存: keep what is there; what is missing may be, what is wrong may not. Begins an application where none is alive.

    `form` replaces the public fields; a personal field that is left out stays as it was, null removes it.
    Raises FormIncomplete, ApplicationNotEditable, ConsentNeeded, ChangedMeanwhile.
    """
    rules = KINDS[kind]
    _refuse_if(draft_problems_of(rules.form, form))
    async with transaction(ctx) as tx:
        application = await _alive_or_new(ctx, tx, rules, programme_id)
        if not may(ctx, application, "save"):
            raise ApplicationNotEditable(state=application.state)
        application = await _write(ctx, tx, rules, application, form, files)
        tx.record("application.saved", "application", application.id)
        return tx.reply(await application_view(ctx, application))


async def submit(ctx: Context, kind: ApplicationKind, programme_id: int | None = None) -> ApplicationView:
    """Put a draft, or a returned form, before the reviewers. Raises NotFound, ApplicationNotEditable, FormIncomplete, the guard's."""
    rules = KINDS[kind]
    async with transaction(ctx) as tx:
        application = await _lock_alive(ctx, tx, kind, programme_id)
        if not may(ctx, application, "submit"):
            raise ApplicationNotEditable(state=application.state)
        await _refuse_unless_right(ctx, tx, rules, application)
        submitted = await put_before_reviewers(ctx, tx, rules, application)
        if rules.on_submitted is not None:
            await rules.on_submitted(ctx, tx, submitted)
        return tx.reply(await application_view(ctx, submitted))


async def withdraw(ctx: Context, kind: ApplicationKind, programme_id: int | None = None) -> ApplicationView:
    """Give up an application that is not decided. Raises NotFound, ApplicationNotWithdrawable."""
    rules = KINDS[kind]
    async with transaction(ctx) as tx:
        application = await _lock_alive(ctx, tx, kind, programme_id)
        if not may(ctx, application, "withdraw"):
            raise ApplicationNotWithdrawable(state=application.state)
        withdrawn = await take_back(tx, application)
        if rules.on_withdrawn is not None:
            await rules.on_withdrawn(ctx, tx, withdrawn)
        return tx.reply(await application_view(ctx, withdrawn))


async def amend(
    ctx: Context, kind: ApplicationKind, programme_id: int | None, form: Mapping[str, Any], files: Mapping[str, list[int]]
) -> ApplicationView:
    """Change an approved form, in its newest version. By policy it stays approved (E12) or is reviewed again (C15).

    Raises NotFound, ApplicationNotApproved, FormIncomplete, ConsentNeeded, the guard's refusals.
    """
    rules = KINDS[kind]
    _refuse_if(draft_problems_of(rules.form, form))
    async with transaction(ctx) as tx:
        before = await _lock_alive(ctx, tx, kind, programme_id)
        if not may(ctx, before, "amend"):
            raise ApplicationNotApproved(state=before.state)
        after = await _write(ctx, tx, rules, before, form, files)
        await _refuse_unless_right(ctx, tx, rules, after)
        changed = _changed_fields(ctx, before, after)
        if _needs_review(await rules.requalify(tx, after), rules, changed):
            after = await put_before_reviewers(ctx, tx, rules, after)
        else:
            after = await tx.row("UPDATE applications SET form_version = $2 WHERE id = $1 RETURNING *", after.id, rules.form_version)
            tx.record("application.updated", "application", after.id, fields=sorted(changed), values=_changes(before, after))
        return tx.reply(await application_view(ctx, after))


# --- steps ------------------------------------------------------------------------------------------------------------


def _refuse_if(problems: list[ProblemView]) -> None:
    if problems:
        raise FormIncomplete(items=problems)


async def _lock_alive(ctx: Context, tx: Transaction, kind: ApplicationKind, programme_id: int | None) -> Any:
    found = await tx.row(ALIVE, ctx.organisation_id, kind, programme_id)
    if found is None:
        raise NotFound
    return found


async def _alive_or_new(ctx: Context, tx: Transaction, rules: KindRules, programme_id: int | None) -> Any:
    found = await tx.row(ALIVE, ctx.organisation_id, rules.kind, programme_id)
    if found is not None:
        return found
    made = await tx.row(INSERT, ctx.organisation_id, rules.kind, programme_id, rules.form_version, ctx.person_id, ctx.now)
    if made is None:  # a colleague began the same one at the same moment
        raise ChangedMeanwhile
    tx.record("application.drafted", "application", made.id, after=made.state, kind=rules.kind)
    return made


async def _write(
    ctx: Context, tx: Transaction, rules: KindRules, application: Any, form: Mapping[str, Any], files: Mapping[str, list[int]]
) -> Any:
    """Public fields as they are given, personal ones sealed into their columns, files linked."""
    personal = {name: form[name] for name in sorted(rules.personal) if name in form}
    if any(value is not None for value in personal.values()):
        await require_consent(tx)
    await _link_files(tx, rules, application, files)
    columns = {
        "form": filled({name: value for name, value in form.items() if name not in rules.personal}),
        **{name: None if value is None else seal(ctx.settings, value.strip()) for name, value in personal.items()},
    }
    sets = ", ".join(f"{name} = ${position}" for position, name in enumerate(columns, start=3))
    return await tx.row(
        f"UPDATE applications SET updated_at = $2, version = version + 1, {sets} WHERE id = $1 RETURNING *",
        application.id, ctx.now, *columns.values(),
    )


async def _link_files(tx: Transaction, rules: KindRules, application: Any, files: Mapping[str, list[int]]) -> None:
    wanted = {number for numbers in files.values() for number in numbers}
    slot_of = {own.id: own.slot for own in await tx.rows(OWN_FILES, sorted(wanted), application.organisation_id)}
    _refuse_if([
        _file_problem(rules, slot, problem) for slot, numbers in files.items()
        if (problem := _wrong_files(rules, slot, numbers, slot_of)) is not None
    ])
    await tx.run(PUT_FILES, application.id, sorted(wanted))


def _wrong_files(rules: KindRules, slot: str, numbers: list[int], slot_of: Mapping[int, str]) -> str | None:
    if slot not in rules.slots:
        return "没有这一项"
    if len(numbers) > rules.slots[slot].max_files:
        return f"最多 {rules.slots[slot].max_files} 个文件"
    return None if all(slot_of.get(number) == slot for number in numbers) else "附件不存在或不属于此项"


def _file_problem(rules: KindRules, slot: str, problem: str) -> ProblemView:
    known = rules.slots.get(slot)
    return {"field": f"files.{slot}" if known else "*", "title": known.title if known else "", "problem": problem}


async def _refuse_unless_right(ctx: Context, tx: Transaction, rules: KindRules, application: Any) -> None:
    """The guard first: who may not apply at all need not fill in the form better."""
    form = {**application.form, **personal_of(ctx, application, rules)}
    case = Case(application, await tx.row(ORGANISATION, application.organisation_id), form)
    await rules.guard(tx, case)
    linked = {link.slot for link in await tx.rows(FILES, application.id)}
    missing = [_file_problem(rules, slot.name, "必须上传") for slot in rules.required_files if slot.name not in linked]
    problems = problems_of(rules.form, form)
    _refuse_if([*problems, *missing] or await rules.compare(tx, case))


async def take_back(tx: Transaction, application: Any) -> Any:
    """Out of the queue, if it is there, and over. `application`: locked and not decided."""
    await withdraw_approval(tx, "application", application.id)
    return await move(tx, APPLICATION_GRAPH, application, ApplicationState.WITHDRAWN, updated_at=tx.ctx.now)


async def put_before_reviewers(ctx: Context, tx: Transaction, rules: KindRules, application: Any) -> Any:
    submitted = await move(
        tx, APPLICATION_GRAPH, application, ApplicationState.SUBMITTED, submitted_at=ctx.now, updated_at=ctx.now, reason=None,
        form_version=rules.form_version,
    )
    region_code, park_id = await rules.place(tx, submitted, await tx.row(ORGANISATION, submitted.organisation_id))
    await open_approval(
        tx, kind=ApprovalKind.APPLICATION, title=rules.title, subject="application", subject_id=submitted.id,
        organisation_id=submitted.organisation_id, role=rules.role, region_code=region_code, park_id=park_id,
        submitted_by=ctx.person_id, due_at=due_after(ctx.now, rules.working_days),
        data=await _submitted(ctx, tx, rules, submitted),
    )
    return submitted


async def _submitted(ctx: Context, tx: Transaction, rules: KindRules, application: Any) -> dict[str, Any]:
    """What the reviewer is shown, kept to compare the next version with. Of personal values only a keyed hash is kept."""
    return {
        "form": application.form,
        "personal": {name: blind_index(ctx.settings, value).hex() for name, value in personal_of(ctx, application, rules).items()},
        "attachment_ids": sorted(link.attachment_id for link in await tx.rows(FILES, application.id)),
    }


def _changed_fields(ctx: Context, before: Any, after: Any) -> set[str]:
    rules = KINDS[ApplicationKind(after.kind)]
    old = {**before.form, **personal_of(ctx, before, rules)}
    new = {**after.form, **personal_of(ctx, after, rules)}
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _changes(before: Any, after: Any) -> dict[str, list[Any]]:
    """Field -> [before, after]: nobody reviews it, so this alone shows later what was declared on which day. Personal fields are sealed
    and stand in no trail; that they were changed does.
    """
    names = sorted(before.form.keys() | after.form.keys())
    return {name: [before.form.get(name), after.form.get(name)] for name in names if before.form.get(name) != after.form.get(name)}


def _needs_review(policy: Requalify, rules: KindRules, changed: set[str]) -> bool:
    return policy is Requalify.ALWAYS or (policy is Requalify.SENSITIVE_FIELDS and bool(changed & rules.sensitive))


# --- the reviewer -----------------------------------------------------------------------------------------------------


async def decide_application(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, data: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What a decision does to an application (registered in approvals.DECIDERS). Raises DecisionIncomplete for unknown items."""
    application = await tx.row("SELECT * FROM applications WHERE id = $1 FOR UPDATE", approval.subject_id)
    rules = KINDS[ApplicationKind(application.kind)]
    items = _return_items(rules, data.get("items") or [])
    # A return decides nothing: the moment of an earlier approval stays, and says that this is an amendment.
    decided = await move(
        tx, APPLICATION_GRAPH, application, ApplicationState(decision), reason=reason, updated_at=ctx.now,
        decided_at=application.decided_at if decision is Decision.RETURN else ctx.now,
    )
    if decision is Decision.APPROVE:
        await rules.on_approved(ctx, tx, decided)
        if rules.award is not None:
            await rules.award(ctx, tx, decided, data)
    tx.announce(
        "approval_result", "application", application.id, organisation_id=application.organisation_id, result=decision.value,
        application_kind=rules.kind, title=rules.title, programme_id=application.programme_id, reason=reason,
    )
    await _tell_the_given_mailbox(ctx, tx, decided, rules, reason)
    return {"items": items} if items else {}


async def _tell_the_given_mailbox(ctx: Context, tx: Transaction, decided: Any, rules: KindRules, reason: str | None) -> None:
    """The conclusion goes to the e-mail in the form as well (D06), unless it is that of somebody who is told by e-mail anyway."""
    email = open_sealed(ctx.settings, decided.contact_email) if decided.contact_email else None
    if email is None or await tx.value(TOLD_ANYWAY, decided.organisation_id, mailbox_index(ctx.settings, email)):
        return
    tell_outside(
        tx, "approval_result", email=email, subject="application", subject_id=decided.id, result=str(decided.state),
        application_kind=rules.kind, title=rules.title, reason=reason,
    )


def _return_items(rules: KindRules, given: list[Mapping[str, str]]) -> list[ProblemView]:
    """What the applicant is to correct, with the titles of the form."""
    titles = {name: title_of(rules.form, name) for name in rules.form.model_fields}
    titles |= {f"files.{slot.name}": slot.title for slot in rules.slots.values()}
    if not all(item["field"] in titles for item in given):
        raise DecisionIncomplete(fields=sorted(titles))
    return [{"field": item["field"], "title": titles[item["field"]], "problem": item["problem"]} for item in given]


DECIDERS[ApprovalKind.APPLICATION] = decide_application
