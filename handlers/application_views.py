"""How applications are shown: to the applicant with the place in the queue, to the reviewer with what changed; personal values masked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from handlers.application_forms import ProblemView, is_filled, title_of
from handlers.application_kinds import KINDS, MASKS, KindRules
from handlers.approvals import DETAILS, QueueView, queue_place
from handlers.attachments import AttachmentView
from handlers.attachments import view as attachment_view
from handlers.context import Context
from handlers.file_types import FileSlot
from handlers.personal import blind_index, open_sealed
from handlers.steps import Steps
from handlers.steps import may as may_in
from handlers.transactions import row, rows
from models.approvals import ApplicationKind, ApplicationState, ApprovalKind


class SlotView(TypedDict):
    """`extensions` in lower case; `max_bytes` for each file; `template`: the paper to print, seal and scan (C16)."""

    slot: str
    title: str
    required: bool
    extensions: list[str]
    max_bytes: int
    max_files: int
    template: str | None


class FormView(TypedDict):
    """`json_schema` says types, limits, titles, `x-page`, `x-choices` and `x-scale` of amounts."""

    kind: ApplicationKind
    title: str
    form_version: int
    json_schema: dict[str, Any]
    slots: list[SlotView]
    working_days: int


class ApplicationView(TypedDict):
    """`form` are the public fields, `personal` the masked ones. `is_complete`: the newest version of the form is filled (E14)."""

    id: int
    kind: ApplicationKind
    title: str
    programme_id: int | None
    state: ApplicationState
    form_version: int
    current_form_version: int
    is_complete: bool
    form: dict[str, Any]
    personal: dict[str, str]
    files: list[AttachmentView]
    submitted_at: datetime | None
    decided_at: datetime | None
    reason: str | None
    items: list[ProblemView]
    queue: QueueView | None
    allowed_actions: list[str]
    updated_at: datetime


class FieldView(TypedDict):
    """`before` is null where there was nothing; `is_changed` against the version that was submitted before."""

    field: str
    title: str
    value: Any
    before: Any
    is_changed: bool


class FactsView(TypedDict):
    """`credit_code` and `certified_at` are the organisation's own, to compare with."""

    application_id: int
    kind: ApplicationKind
    title: str
    programme_id: int | None
    form_version: int
    is_amendment: bool
    credit_code: str | None
    certified_at: datetime | None
    fields: list[FieldView]
    files: list[AttachmentView]
    new_files: list[int]


EDITABLE = frozenset({ApplicationState.DRAFT, ApplicationState.RETURNED})
OVER = frozenset({ApplicationState.REJECTED, ApplicationState.WITHDRAWN})  # saving begins another one
STEPS: Steps = {
    "save": EDITABLE | OVER, "submit": EDITABLE, "withdraw": EDITABLE | {ApplicationState.SUBMITTED},
    "amend": frozenset({ApplicationState.APPROVED}),
}
FILES = """
SELECT f.* FROM application_files l JOIN attachments f ON f.id = l.attachment_id WHERE l.application_id = $1 ORDER BY f.slot, f.id
"""
LAST_APPROVAL = "SELECT state, data FROM approvals WHERE subject = 'application' AND subject_id = $1 ORDER BY id DESC LIMIT 1"
BEFORE = "SELECT data FROM approvals WHERE subject = 'application' AND subject_id = $1 AND id < $2 ORDER BY id DESC LIMIT 1"
SUBJECT = """
SELECT a.*, o.credit_code AS organisation_credit_code, o.certified_at
FROM applications a JOIN organisations o ON o.id = a.organisation_id WHERE a.id = $1
"""


def form_view(rules: KindRules) -> FormView:
    required = {slot.name for slot in rules.required_files}
    return {
        "kind": rules.kind, "title": rules.title, "form_version": rules.form_version,
        "json_schema": rules.form.model_json_schema(), "working_days": rules.working_days,
        "slots": [_slot_view(slot, slot.name in required) for slot in rules.slots.values()],
    }


def _slot_view(slot: FileSlot, required: bool) -> SlotView:
    return {
        "slot": slot.name, "title": slot.title, "required": required, "extensions": slot.extensions, "max_bytes": slot.max_bytes,
        "max_files": slot.max_files, "template": slot.name if slot.has_template else None,
    }


def personal_of(ctx: Context, application: Any, rules: KindRules) -> dict[str, str]:
    """The personal fields that are there, in clear: to be checked and masked, never to be shown."""
    sealed = {name: application[name] for name in sorted(rules.personal)}
    return {name: open_sealed(ctx.settings, blob) for name, blob in sealed.items() if blob is not None}


def may(ctx: Context, application: Any, verb: str) -> bool:
    """Guard and offer in one. What was decided before is an amendment now, and keeps its standing: it is not withdrawn."""
    return may_in(ctx, STEPS, verb, application.state) and not (verb == "withdraw" and application.decided_at is not None)


def masked(personal: Mapping[str, str]) -> dict[str, str]:
    return {name: MASKS[name](value) for name, value in personal.items()}


async def application_view(ctx: Context, application: Any) -> ApplicationView:
    """`application`: a row of `applications`, inside a transaction or out of one."""
    rules, state = KINDS[ApplicationKind(application.kind)], ApplicationState(application.state)
    last = await row(LAST_APPROVAL, application.id)
    items = last.data.get("items", []) if last is not None and state is ApplicationState.RETURNED else []
    personal = personal_of(ctx, application, rules)
    return {
        "id": application.id, "kind": rules.kind, "title": rules.title, "programme_id": application.programme_id, "state": state,
        "form_version": application.form_version, "current_form_version": rules.form_version,
        "is_complete": is_filled(rules.form, {**application.form, **personal}), "form": application.form,
        "personal": masked(personal), "files": [attachment_view(one) for one in await rows(FILES, application.id)],
        "submitted_at": application.submitted_at, "decided_at": application.decided_at, "reason": application.reason, "items": items,
        "queue": await queue_place(ctx.now, "application", application.id) if state is ApplicationState.SUBMITTED else None,
        "allowed_actions": [verb for verb in STEPS if may(ctx, application, verb)], "updated_at": application.updated_at,
    }


async def facts_of(ctx: Context, approval: Any) -> dict[str, Any]:
    """What a reviewer sees (registered in approvals.DETAILS): every field with what it was when it was last submitted.

    A decided case shows what was decided on, not what became of the form since.
    """
    application = await row(SUBJECT, approval.subject_id)
    rules = KINDS[ApplicationKind(application.kind)]
    earlier = await row(BEFORE, approval.subject_id, approval.id)
    before = earlier.data if earlier is not None else None
    shown = set(approval.data["attachment_ids"])
    facts: FactsView = {
        "application_id": application.id, "kind": rules.kind, "title": rules.title, "programme_id": application.programme_id,
        "form_version": application.form_version, "is_amendment": before is not None,
        "credit_code": application.organisation_credit_code, "certified_at": application.certified_at,
        "fields": _fields(ctx, application, rules, approval.data, before),
        "files": [attachment_view(one) for one in await rows("SELECT * FROM attachments WHERE id = ANY($1) ORDER BY slot, id", shown)],
        "new_files": sorted(shown - set(before["attachment_ids"])) if before else [],
    }
    return dict(facts)


def _fields(
    ctx: Context, application: Any, rules: KindRules, now: Mapping[str, Any], before: Mapping[str, Any] | None
) -> list[FieldView]:
    personal = personal_of(ctx, application, rules)
    shown: list[FieldView] = []
    for name in rules.form.model_fields:
        if name in rules.personal:
            mark, old = now["personal"].get(name), before and before["personal"].get(name)
            value = personal.get(name)
            # The value of another version than this one's is not shown as if it were this one's.
            same = value is not None and blind_index(ctx.settings, value).hex() == mark
            shown.append(_field(rules, name, MASKS[name](value) if value and same else None, None, before is not None and mark != old))
        else:
            value, old = now["form"].get(name), before and before["form"].get(name)
            shown.append(_field(rules, name, value, old, before is not None and value != old))
    return shown


def _field(rules: KindRules, name: str, value: Any, before: Any, is_changed: bool) -> FieldView:
    return {"field": name, "title": title_of(rules.form, name), "value": value, "before": before, "is_changed": is_changed}


DETAILS[ApprovalKind.APPLICATION] = facts_of
