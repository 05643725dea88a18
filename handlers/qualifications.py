"""服务券资格: which enterprise may reserve and use a programme's vouchers (E05-E14)."""

from collections.abc import Mapping
from typing import Any, TypedDict

from handlers import applications
from handlers.application_forms import QualificationForm1, QualificationForm2, is_filled
from handlers.application_kinds import Case, KindRules, Requalify, register
from handlers.application_views import ApplicationView
from handlers.context import Context
from handlers.enterprises import compare_with_organisation
from handlers.file_types import SLOTS
from handlers.programmes import rules_of
from handlers.refusals import Kind, NotFound, Refusal
from handlers.regions import covers
from handlers.transactions import Transaction, row, rows
from models.accounts import Role
from models.approvals import ApplicationKind, ApplicationState
from models.programmes import ProgrammeState

FORMS = {1: QualificationForm1, 2: QualificationForm2}
FORM_VERSION = max(FORMS)


class NotCertified(Refusal):
    """E02."""

    kind, code, title = Kind.CONFLICT, "not_certified", "请先完成企业实名认证"


class OutsideProgramme(Refusal):
    """`data.region_code`: the division that the programme is for."""

    kind, code, title = Kind.CONFLICT, "outside_programme", "企业所在地不在该项目适用范围内"


class StandingView(TypedDict):
    """Where an enterprise stands in a programme. `state` null: never applied, or rejected, or given up.

    `complete`: approved, and the form has everything that the version in force asks (the gate of E14).
    """

    programme_id: int
    programme_name: str
    state: ApplicationState | None
    form_version: int | None
    current_form_version: int
    complete: bool


class StandingsView(TypedDict):
    """All published programmes of the enterprise's divisions: a handful."""

    items: list[StandingView]


PROGRAMME = """
SELECT p.*, l.rules FROM programmes p
LEFT JOIN LATERAL (
  SELECT rules FROM policies WHERE programme_id = p.id AND state = 'confirmed' ORDER BY number DESC LIMIT 1
) l ON true
WHERE p.id = $1
"""
STANDINGS = """
SELECT p.id, p.name, p.region_code, q.state, q.form_version, q.form, o.region_code AS own_region_code
FROM organisations o CROSS JOIN programmes p LEFT JOIN applications q
  ON q.organisation_id = o.id AND q.kind = 'qualification' AND q.programme_id = p.id AND q.state NOT IN ('rejected', 'withdrawn')
WHERE o.id = $1 AND p.state = 'published' ORDER BY p.id LIMIT 200
"""


def is_complete(application: Any) -> bool:
    """Whether a row's `form` has everything that the version in force asks (E14). Says nothing of the row's state."""
    return application.form is not None and is_filled(FORMS[FORM_VERSION], application.form)


async def list_standings(ctx: Context) -> StandingsView:
    """我的服务 -> 服务券资格: the programmes for the enterprise's division, with its standing in each (E05)."""
    return {"items": [
        _standing_view(found) for found in await rows(STANDINGS, ctx.organisation_id)
        if found.state is not None or (found.own_region_code is not None and covers(found.region_code, found.own_region_code))
    ]}


def _standing_view(found: Any) -> StandingView:
    state = ApplicationState(found.state) if found.state else None
    return {
        "programme_id": found.id, "programme_name": found.name, "state": state, "form_version": found.form_version,
        "current_form_version": FORM_VERSION, "complete": state is ApplicationState.APPROVED and is_complete(found),
    }


async def save_qualification(
    ctx: Context, programme_id: int, form: Mapping[str, Any], files: Mapping[str, list[int]]
) -> ApplicationView:
    """A draft for a published programme. Raises NotFound for any other, and what applications.save_draft raises."""
    programme = await row(PROGRAMME, programme_id)
    if programme is None or programme.state != ProgrammeState.PUBLISHED:
        raise NotFound
    return await applications.save_draft(ctx, ApplicationKind.QUALIFICATION, programme_id, form, files)


# --- the kind ---------------------------------------------------------------------------------------------------------


async def only_certified(tx: Transaction, case: Case) -> None:
    """E02; the programme is published and meant for the enterprise's division."""
    if case.organisation.certified_at is None:
        raise NotCertified
    programme = await tx.row(PROGRAMME, case.application.programme_id)
    if programme.state != ProgrammeState.PUBLISHED:
        raise NotFound
    own = case.organisation.region_code
    if own is None or not covers(programme.region_code, own):
        raise OutsideProgramme(region_code=programme.region_code)


async def by_policy(tx: Transaction, application: Any) -> Requalify:
    """`requalify_on_update` of the programme's policy; Jinan's says none (E12)."""
    programme = await tx.row(PROGRAMME, application.programme_id)
    return Requalify(rules_of(programme).requalify_on_update) if programme.rules is not None else Requalify.ALWAYS


async def nothing_more(_ctx: Context, _tx: Transaction, _application: Any) -> None:
    """The approved application is the qualification."""


QUALIFICATION = register(KindRules(
    kind=ApplicationKind.QUALIFICATION, title="服务券资格申请", forms=FORMS,
    required_files=(SLOTS["admission_form"], SLOTS["business_licence"], SLOTS["commitment_letter"]),  # E09
    optional_files=(SLOTS["social_insurance_proof"], SLOTS["tax_return"]),  # E10
    role=Role.REVIEWER,  # E11
    working_days=5, sensitive=frozenset({"enterprise_name", "region_code", "industry", "size_class"}),
    guard=only_certified, compare=compare_with_organisation, requalify=by_policy, on_approved=nothing_more,
))
