"""The consultant's own case: the form that is reviewed, the photo, and what became of it (D09)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from handlers import approvals, attachments
from handlers.accounts.consents import require_consent
from handlers.accounts.organisations import add_membership
from handlers.application_forms import Form, PersonName, problems_of
from handlers.applications import FormIncomplete
from handlers.approvals import Decision, DecisionIncomplete
from handlers.attachments import AttachmentView, TooManyFiles
from handlers.consultants.managing import lock_mine
from handlers.consultants.refusals import ConsultantStateWrong
from handlers.consultants.telling import tell_decision, tell_institution
from handlers.consultants.views import FILLABLE, SHOWN, ConsultancyView, consultancy_view, masked_name, specialities_of
from handlers.context import Context
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.personal import blind_index, open_sealed, seal
from handlers.refusals import NotFound
from handlers.texts import LINE, TEXT
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.categories import CATEGORIES
from models.consultants import CONSULTANT_GRAPH, ConsultantState

REVIEW_WORKING_DAYS = 5
INTRODUCTION_MAX, SPECIALITIES_MAX = 500, 8
PHOTO_SLOT, PHOTOS_MAX = "consultant_photo", 5

PHOTOS = "SELECT count(*) AS photos FROM attachments WHERE uploaded_by_id = $1 AND slot = $2 AND state <> 'deleted'"
OWN_PHOTO = "SELECT id FROM attachments WHERE id = $1 AND organisation_id = $2 AND uploaded_by_id = $3 AND slot = $4 AND state = 'stored'"
FILL = """
UPDATE consultants SET name = $2, title = $3, specialities = $4, introduction = $5, photo_id = $6, version = version + 1 WHERE id = $1
"""
WHERE = "SELECT name, region_code, park_id FROM organisations WHERE id = $1"
NAME_PERSON = "UPDATE persons SET name = $2 WHERE id = $1 AND name IS NULL AND closed_at IS NULL"


def _known(codes: list[str]) -> list[str]:
    if any(code not in CATEGORIES for code in codes):
        raise PydanticCustomError("speciality", "没有该服务类型")
    return list(dict.fromkeys(codes))


class ProfileForm(Form):
    """顾问认证信息. Everything but the name becomes public."""

    name: PersonName = Field(title="姓名")
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50), LINE] = Field(title="职称或职务")
    specialities: Annotated[list[str], AfterValidator(_known)] = Field(title="擅长的服务类型", min_length=1, max_length=SPECIALITIES_MAX)
    introduction: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=INTRODUCTION_MAX), TEXT] = Field(
        title="个人简介"
    )


# --- the consultant --------------------------------------------------------------------------------------------------------------------


async def list_mine(ctx: Context, page: Page) -> PageView[ConsultancyView]:
    """Newest first, for whatever institutions."""
    before = (page.key() or [2**63 - 1])[0]
    found = await rows(f"{SHOWN} WHERE c.person_id = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT $3", ctx.person_id, before, page.limit + 1)
    return page_of(found, page, lambda one: consultancy_view(ctx, one), lambda one: [one.id])


async def get_mine(ctx: Context, consultant_id: int) -> ConsultancyView:
    found = await row(f"{SHOWN} WHERE c.id = $1 AND c.person_id = $2", consultant_id, ctx.person_id)
    if found is None:
        raise NotFound
    return consultancy_view(ctx, found)


async def upload_photo(ctx: Context, consultant_id: int, file_name: str, chunks: AsyncIterator[bytes]) -> AttachmentView:
    """For the form; it belongs to the institution's files, and is public once the consultant is active.

    Raises NotFound, ConsultantStateWrong, TooManyFiles, and what `attachments.upload` raises.
    """
    found = await row("SELECT institution_id, state FROM consultants WHERE id = $1 AND person_id = $2", consultant_id, ctx.person_id)
    if found is None:
        raise NotFound
    if found.state not in FILLABLE:
        raise ConsultantStateWrong(state=found.state)
    if (await row(PHOTOS, ctx.person_id, PHOTO_SLOT)).photos >= PHOTOS_MAX:
        raise TooManyFiles(max=PHOTOS_MAX)
    # Whatever the person is for somebody else at the moment, this file is for the institution.
    acting = replace(ctx, actor=replace(ctx.actor, role=None, organisation_id=found.institution_id))
    return await attachments.upload(acting, PHOTO_SLOT, file_name, chunks)


async def submit(ctx: Context, consultant_id: int, values: Mapping[str, Any], photo_id: int | None) -> ConsultancyView:
    """提交认证 to the administrator of the institution's place, also after a return. A name that is left out stays as it was.

    Raises NotFound, FormIncomplete, ConsultantStateWrong, ConsentNeeded.
    """
    async with transaction(ctx) as tx:
        consultant = await lock_mine(tx, consultant_id)
        if consultant.state not in FILLABLE:
            raise ConsultantStateWrong(state=consultant.state)
        await require_consent(tx)
        form = _checked(ctx, consultant, values)
        await _write(tx, consultant, form, await _photo(tx, consultant, photo_id))
        moved = await move(tx, CONSULTANT_GRAPH, consultant, ConsultantState.IN_REVIEW, submitted_at=ctx.now, updated_at=ctx.now)
        await _queue(tx, moved, form)
        tell_institution(tx, moved, "submitted")
        return tx.reply(consultancy_view(ctx, await tx.row(f"{SHOWN} WHERE c.id = $1", consultant.id)))


def _checked(ctx: Context, consultant: Any, values: Mapping[str, Any]) -> ProfileForm:
    # The institution's word for the name is no certification; what the person wrote before is.
    known = {"name": open_sealed(ctx.settings, consultant.name)} if consultant.name and consultant.submitted_at else {}
    given = {**known, **{name: value for name, value in values.items() if value not in (None, "")}}
    if problems := problems_of(ProfileForm, given):
        raise FormIncomplete(items=problems)
    return ProfileForm.model_validate(given)


async def _photo(tx: Transaction, consultant: Any, photo_id: int | None) -> int | None:
    """The new one, or the one that is there."""
    if photo_id is None:
        kept: int | None = consultant.photo_id
        return kept
    found: int | None = await tx.value(OWN_PHOTO, photo_id, consultant.institution_id, tx.ctx.person_id, PHOTO_SLOT)
    if found is None:
        raise NotFound(slot=PHOTO_SLOT)
    return found


async def _write(tx: Transaction, consultant: Any, form: ProfileForm, photo_id: int | None) -> None:
    name = seal(tx.ctx.settings, form.name)
    await tx.run(FILL, consultant.id, name, form.title, form.specialities, form.introduction, photo_id)
    await tx.run(NAME_PERSON, tx.ctx.person_id, name)


async def _queue(tx: Transaction, consultant: Any, form: ProfileForm) -> None:
    """What the reviewer decides on is kept with the case: the public part in clear, of the name only a mark."""
    institution = await tx.row(WHERE, consultant.institution_id)
    photo = await tx.value("SELECT photo_id FROM consultants WHERE id = $1", consultant.id)
    await approvals.open_approval(
        tx, kind=ApprovalKind.CONSULTANT, title=f"服务顾问认证：{consultant.display_name}", subject="consultant", subject_id=consultant.id,
        organisation_id=consultant.institution_id, role=Role.ADMIN, region_code=institution.region_code, park_id=institution.park_id,
        submitted_by=tx.ctx.person_id, due_at=due_after(tx.ctx.now, REVIEW_WORKING_DAYS), data={
            "form": form.model_dump(exclude={"name"}), "personal": {"name": blind_index(tx.ctx.settings, form.name).hex()},
            "attachment_ids": [photo] if photo else [],
        },
    )


# --- the reviewer ----------------------------------------------------------------------------------------------------------------------


async def decide_consultant(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, data: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Called by `approvals.decide`, which has locked the consultant. An approval gives the right to represent the institution (D09)."""
    consultant = await tx.row("SELECT * FROM consultants WHERE id = $1", approval.subject_id)
    items: list[dict[str, str]] = list(data.get("items", ()))
    if wrong := [item["field"] for item in items if item["field"] not in {*ProfileForm.model_fields, f"files.{PHOTO_SLOT}"}]:
        raise DecisionIncomplete(items=wrong)
    changes: dict[str, object] = {"updated_at": ctx.now}
    if decision is Decision.APPROVE:
        changes["membership_id"] = await add_membership(tx, consultant.person_id, consultant.institution_id, Role.CONSULTANT)
    to = {Decision.APPROVE: ConsultantState.ACTIVE, Decision.RETURN: ConsultantState.RETURNED, Decision.REJECT: ConsultantState.REJECTED}
    decided = await move(tx, CONSULTANT_GRAPH, consultant, to[decision], note={"reason": reason} if reason else None, **changes)
    await tell_decision(tx, decided, approval.title, decision, reason)
    titles = {name: str(field.title) for name, field in ProfileForm.model_fields.items()} | {f"files.{PHOTO_SLOT}": "照片"}
    return {"items": [{**item, "title": titles[item["field"]]} for item in items]}


async def consultant_facts(ctx: Context, approval: Any) -> dict[str, Any]:
    """What was submitted, the photo, and how the institution had named the person."""
    consultant = await row(f"{SHOWN} WHERE c.id = $1", approval.subject_id)
    form = approval.data["form"]
    photos = await rows("SELECT * FROM attachments WHERE id = ANY($1)", approval.data["attachment_ids"])
    return {
        "display_name": consultant.display_name, "institution_name": consultant.institution_name,
        "name": masked_name(ctx, consultant.name), **form, "specialities": specialities_of(form["specialities"]),
        "phone_named": consultant.phone is not None, "photos": [attachments.view(photo) for photo in photos],
    }


approvals.DECIDERS[ApprovalKind.CONSULTANT] = decide_consultant
approvals.DETAILS[ApprovalKind.CONSULTANT] = consultant_facts
approvals.SUBJECTS["consultant"] = "consultants"
