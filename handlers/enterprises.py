"""实名认证企业: an enterprise is known to be what it says (E02-E04)."""

from collections.abc import Awaitable, Callable
from typing import Any

from handlers.application_forms import CertificationForm, ProblemView, title_of
from handlers.application_kinds import Case, KindRules, Requalify, register
from handlers.context import Context
from handlers.file_types import SLOTS
from handlers.regions import RegionTooWide, RegionUnknown, require_place
from handlers.transactions import Transaction
from models.accounts import Role
from models.approvals import ApplicationKind

# What else the first certification of an enterprise means, in its transaction: each is called with the enterprise's id.
ON_CERTIFIED: list[Callable[[Transaction, int], Awaitable[None]]] = []


async def anyone(_tx: Transaction, _case: Case) -> None:
    """Certification is the first step: nothing comes before it."""


async def compare_with_organisation(tx: Transaction, case: Case) -> list[ProblemView]:
    """Name, credit code and division must be those that the organisation registered with."""
    form, organisation = case.form, case.organisation
    known = {"enterprise_name": organisation.name, "credit_code": organisation.credit_code, "region_code": organisation.region_code}
    problems: list[ProblemView] = [
        {"field": field, "title": title_of(CertificationForm, field), "problem": "与单位登记的信息不一致"}
        for field, value in known.items() if field in form and value is not None and form[field] != value
    ]
    return problems or await place_problems(tx, form["region_code"])


async def place_problems(tx: Transaction, region_code: str) -> list[ProblemView]:
    try:
        await require_place(tx, region_code)
    except (RegionUnknown, RegionTooWide) as refusal:
        return [{"field": "region_code", "title": title_of(CertificationForm, "region_code"), "problem": refusal.title}]
    return []


async def by_section_three(_tx: Transaction, _application: Any) -> Requalify:
    """Decision 0030: a certified enterprise that changes what it was certified for is looked at again."""
    return Requalify.SENSITIVE_FIELDS


async def certify(ctx: Context, tx: Transaction, application: Any) -> None:
    """The moment of the first certification stays, whatever is amended later."""
    certified = await tx.value(
        "UPDATE organisations SET certified_at = $2, region_code = coalesce(region_code, $3) WHERE id = $1 AND certified_at IS NULL"
        " RETURNING id", application.organisation_id, ctx.now, application.form["region_code"],
    )
    if certified is not None:
        tx.record("organisation.certified", "organisation", application.organisation_id, application_id=application.id)
        for certified_now in ON_CERTIFIED:
            await certified_now(tx, application.organisation_id)


CERTIFICATION = register(KindRules(
    kind=ApplicationKind.ENTERPRISE_CERTIFICATION, title="企业实名认证", forms={1: CertificationForm},
    required_files=(SLOTS["business_licence"],), optional_files=(),
    role=Role.ADMIN,  # E04
    working_days=3, sensitive=frozenset({"enterprise_name", "credit_code", "legal_person_name", "legal_person_id_number"}),
    guard=anyone, compare=compare_with_organisation, requalify=by_section_three, on_approved=certify,
))
