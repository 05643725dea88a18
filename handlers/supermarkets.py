"""认证成为超市平台的服务机构 (D03-D06), and with one tick the membership of its association (D04): two kinds of application.

Both belong to a programme that is a supermarket. They are submitted in one commit and decided each for itself. The supermarket's
own administrator reviews them, wherever the institution sits (D22).
"""

from typing import Any

from handlers import applications
from handlers.application_forms import ProblemView, title_of
from handlers.application_kinds import Case, KindRules, Requalify, register
from handlers.application_views import EDITABLE, ApplicationView
from handlers.applications import put_before_reviewers, take_back
from handlers.context import Context
from handlers.enterprises import place_problems
from handlers.institutions import InstitutionSuspended
from handlers.institutions_admission import LICENCE_AS_PICTURE, PICTURES, admit
from handlers.programmes import rules_of
from handlers.refusals import ChangedMeanwhile, NotFound
from handlers.supermarkets_forms import LICENCE, LOGO, SHARED_FIELDS, CertificationForm, MembershipForm
from handlers.transactions import Transaction
from handlers.zones import PUBLISHED, published
from models.accounts import Role
from models.approvals import ApplicationKind, ApplicationState
from models.institutions import InstitutionState

# Facts of an institution in the library of another programme stay: they change by what that library reviews (C15).
FACTS = """
UPDATE institutions i SET application_id = a.id, category = a.form ->> 'category', introduction = a.form ->> 'introduction',
  address = a.form ->> 'address', landline = a.form ->> 'landline', website = coalesce(a.form ->> 'website', i.website),
  contact_name = a.contact_name, contact_phone = a.contact_phone, updated_at = $2
FROM applications a WHERE a.id = $1 AND i.organisation_id = a.organisation_id AND NOT EXISTS (
  SELECT 1 FROM applications b WHERE b.id = i.application_id AND b.kind <> 'supermarket_certification')
RETURNING i.id
"""
MEMBERSHIP = """
SELECT * FROM applications WHERE organisation_id = $1 AND kind = 'association_membership' AND programme_id = $2
ORDER BY id DESC LIMIT 1 FOR UPDATE
"""
NEW_MEMBERSHIP = """
INSERT INTO applications (organisation_id, kind, programme_id, state, form_version, form, applied_by_id, version, created_at, updated_at)
VALUES ($1, 'association_membership', $2, 'draft', $3, '{}', $4, 0, $5, $5) ON CONFLICT DO NOTHING RETURNING *
"""
COPY = """
UPDATE applications m SET form = $3, contact_name = c.contact_name, contact_phone = c.contact_phone, contact_email = c.contact_email,
  form_version = $4, version = m.version + 1, updated_at = $5
FROM applications c WHERE m.id = $1 AND c.id = $2 RETURNING m.*
"""
COPY_LICENCE = """
INSERT INTO application_files (application_id, attachment_id, slot)
SELECT $1, attachment_id, slot FROM application_files WHERE application_id = $2 AND slot = $3 ON CONFLICT DO NOTHING
"""
# Once approved it stays: an amendment that waits or was rejected takes nothing back. Whether it may trade says its own state (G9).
CERTIFIED = """
SELECT p.id, p.region_code FROM applications a JOIN programmes p ON p.id = a.programme_id
WHERE a.organisation_id = $1 AND a.kind = 'supermarket_certification' AND ($2::bigint IS NULL OR a.programme_id = $2) AND EXISTS (
  SELECT 1 FROM approvals v WHERE v.subject = 'application' AND v.subject_id = a.id AND v.state = 'approved')
ORDER BY a.id LIMIT 1
"""


async def save_application(
    ctx: Context, kind: ApplicationKind, programme_id: int, form: dict[str, Any], files: dict[str, list[int]]
) -> ApplicationView:
    """A draft for a supermarket. Raises NotFound for any other programme, and what applications.save_draft raises."""
    if not rules_of(await published(programme_id)).supermarket:
        raise NotFound
    return await applications.save_draft(ctx, kind, programme_id, form, files)


async def supermarket_of(tx: Transaction, institution_id: int, programme_id: int | None = None) -> Any:
    """(id, region_code) of a supermarket that has certified the institution: the one asked for, or the first. None if none has."""
    return await tx.row(CERTIFIED, institution_id, programme_id)


# --- the kinds --------------------------------------------------------------------------------------------------------


async def open_to_institutions(tx: Transaction, case: Case) -> None:
    """Raises NotFound where there is no supermarket any more, InstitutionSuspended: also for an admission that has run out."""
    programme = await tx.row(PUBLISHED, case.application.programme_id)
    if programme is None or not rules_of(programme).supermarket:
        raise NotFound
    if case.organisation.suspended_at is not None:
        raise InstitutionSuspended


async def at_the_supermarket(tx: Transaction, application: Any, _organisation: Any) -> tuple[str | None, int | None]:
    return await tx.value("SELECT region_code FROM programmes WHERE id = $1", application.programme_id), None


async def compare(tx: Transaction, case: Case) -> list[ProblemView]:
    """The unit's own name, code and division; and no licence where everybody would see it (C07)."""
    form, own = case.form, case.organisation
    known = {"institution_name": own.name, "credit_code": own.credit_code, "region_code": own.region_code}
    problems: list[ProblemView] = [
        {"field": field, "title": title_of(MembershipForm, field), "problem": "与单位登记的信息不一致"}
        for field, value in known.items() if value is not None and form[field] != value
    ]
    if await tx.value(LICENCE_AS_PICTURE, case.application.id, LOGO.name):
        problems.append({"field": f"files.{LOGO.name}", "title": LOGO.title, "problem": "会对外展示，请勿使用营业执照"})
    return problems or await place_problems(tx, form["region_code"])


async def always(_tx: Transaction, _application: Any) -> Requalify:
    """As for the library (C15): whatever of it is changed is looked at again."""
    return Requalify.ALWAYS


async def certify(_ctx: Context, tx: Transaction, application: Any) -> None:
    """D06: the functions of an institution open. One that is admitted already stays so; a suspension is not lifted."""
    organisation_id = application.organisation_id
    state = await tx.value("SELECT state FROM institutions WHERE organisation_id = $1 FOR NO KEY UPDATE", organisation_id)
    if await tx.value(FACTS, application.id, tx.ctx.now) is not None:
        await tx.run("DELETE FROM pictures WHERE organisation_id = $1 AND product_id IS NULL", organisation_id)
        await tx.run(PICTURES, application.id, LOGO.name)
        tx.record("institution.facts_replaced", "organisation", organisation_id, application_id=application.id)
    if state == InstitutionState.APPLYING:
        await admit(tx, organisation_id)


async def nothing_more(_ctx: Context, _tx: Transaction, _application: Any) -> None:
    """The approved application is the membership."""


# --- two applications by one submission (D04) ---------------------------------------------------------------------------


async def join_too(ctx: Context, tx: Transaction, certification: Any) -> None:
    """With the tick the membership is submitted too, or again; without it what waits of this submission is taken back.

    What the association has decided stays decided: a second try after its rejection is an application of its own.
    """
    membership = await tx.row(MEMBERSHIP, certification.organisation_id, certification.programme_id)
    if not certification.form.get("join_association"):
        await _take_back_with(tx, certification, membership)
    elif _is_to_be_made(certification, membership):
        made = await tx.row(
            NEW_MEMBERSHIP, certification.organisation_id, certification.programme_id, MEMBERSHIP_RULES.form_version, ctx.person_id, ctx.now
        )
        if made is None:  # a colleague began one at the same moment
            raise ChangedMeanwhile
        tx.record("application.drafted", "application", made.id, after=made.state, kind=MEMBERSHIP_RULES.kind)
        await _submit_like(ctx, tx, certification, made)
    elif membership.state in EDITABLE:
        await _submit_like(ctx, tx, certification, membership)


async def leave_too(_ctx: Context, tx: Transaction, certification: Any) -> None:
    """Whoever withdraws the one withdraws what was submitted with it and is not decided."""
    await _take_back_with(tx, certification, await tx.row(MEMBERSHIP, certification.organisation_id, certification.programme_id))


def _is_to_be_made(certification: Any, membership: Any) -> bool:
    if membership is None or membership.state == ApplicationState.WITHDRAWN:
        return True
    return bool(membership.state == ApplicationState.REJECTED and membership.id < certification.id)


async def _submit_like(ctx: Context, tx: Transaction, certification: Any, membership: Any) -> None:
    form = {name: certification.form[name] for name in SHARED_FIELDS}
    filled = await tx.row(COPY, membership.id, certification.id, form, MEMBERSHIP_RULES.form_version, ctx.now)
    await tx.run(COPY_LICENCE, membership.id, certification.id, LICENCE.name)
    await put_before_reviewers(ctx, tx, MEMBERSHIP_RULES, filled)


async def _take_back_with(tx: Transaction, certification: Any, membership: Any) -> None:
    if membership is None or membership.id < certification.id or membership.decided_at is not None:
        return
    if membership.state in {*EDITABLE, ApplicationState.SUBMITTED}:
        await take_back(tx, membership)


CERTIFICATION = register(KindRules(
    kind=ApplicationKind.SUPERMARKET_CERTIFICATION, title="认证服务机构申请", forms={1: CertificationForm},
    required_files=(LICENCE,), optional_files=(LOGO,), role=Role.ADMIN,  # D05
    working_days=5, sensitive=frozenset(), guard=open_to_institutions, compare=compare, requalify=always, on_approved=certify,
    place=at_the_supermarket, on_submitted=join_too, on_withdrawn=leave_too,
))
MEMBERSHIP_RULES = register(KindRules(
    kind=ApplicationKind.ASSOCIATION_MEMBERSHIP, title="企业发展服务促进会入会申请", forms={1: MembershipForm},
    required_files=(LICENCE,), optional_files=(), role=Role.ADMIN,
    working_days=5, sensitive=frozenset(), guard=open_to_institutions, compare=compare, requalify=always, on_approved=nothing_more,
    place=at_the_supermarket,
))
