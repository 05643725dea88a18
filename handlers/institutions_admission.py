"""服务机构入库 (C05-C17): a kind of application; what its approval brings into force, and for how long.

Facts in force are in `institutions` and `institution_scopes`. An amendment waits in the application and touches none of them (C15).
"""

from datetime import date, datetime
from typing import Any

from handlers.application_forms import ProblemView, title_of
from handlers.application_kinds import Case, KindRules, Requalify, register
from handlers.context import Context
from handlers.enterprises import place_problems
from handlers.institutions_forms import MAYBE_FILES, REQUIRED_FILES, AdmissionForm
from handlers.moves import move
from handlers.papers import PaperName, letter
from handlers.personal import normalise
from handlers.transactions import Transaction, row
from handlers.working_days import SHANGHAI
from models.accounts import Role
from models.approvals import ApplicationKind
from models.institutions import INSTITUTION_GRAPH, InstitutionState

# The facts are those of the last year (C12), so they are looked at again each year.
ADMISSION_YEARS = 1
PICTURE_SLOT = "institution_picture"

FACTS = """
UPDATE institutions i SET application_id = a.id, category = a.form ->> 'category', introduction = a.form ->> 'introduction',
  address = a.form ->> 'address', landline = a.form ->> 'landline', contact_name = a.contact_name, contact_phone = a.contact_phone,
  bank_account_name = a.form ->> 'bank_account_name', bank_branch = a.form ->> 'bank_branch', bank_account = a.bank_account,
  latitude = round((a.form ->> 'latitude')::numeric, 6), longitude = round((a.form ->> 'longitude')::numeric, 6),
  valid_until = $2, updated_at = $3
FROM applications a WHERE a.id = $1 AND i.organisation_id = a.organisation_id
"""
SCOPES = """
INSERT INTO institution_scopes (organisation_id, category, content)
SELECT $1, s ->> 'category', btrim(s ->> 'content') FROM jsonb_array_elements($2::jsonb) s ON CONFLICT DO NOTHING
"""
PICTURES = """
INSERT INTO pictures (attachment_id, organisation_id, in_text, position)
SELECT l.attachment_id, a.organisation_id, false, row_number() OVER (ORDER BY l.attachment_id)
FROM application_files l JOIN applications a ON a.id = l.application_id WHERE a.id = $1 AND l.slot = $2
"""
LICENCE_AS_PICTURE = """
SELECT EXISTS (
  SELECT 1 FROM application_files p JOIN attachments a ON a.id = p.attachment_id
  JOIN application_files l ON l.application_id = p.application_id JOIN attachments b ON b.id = l.attachment_id
  WHERE p.application_id = $1 AND p.slot = $2 AND l.slot = 'institution_licence' AND a.sha256 = b.sha256
)
"""
DRAFT = """
SELECT a.form FROM applications a WHERE a.organisation_id = $1 AND a.kind = 'institution_admission' ORDER BY a.id DESC LIMIT 1
"""


async def filled_paper(ctx: Context, name: PaperName) -> bytes:
    """A paper to print and seal, with what the institution's form says: so the sealed paper agrees with it (C06, C16)."""
    found = await row(DRAFT, ctx.organisation_id)
    return letter(name, found.form if found is not None else {})


# --- the kind -----------------------------------------------------------------------------------------------------------


async def anyone(_tx: Transaction, _case: Case) -> None:
    """Admission is an institution's first step: nothing comes before it."""


async def compare(tx: Transaction, case: Case) -> list[ProblemView]:
    """The unit's own name and code, its account in its own name (C12), and each file there or said to be 无 (C11)."""
    form, own = case.form, case.organisation
    known = {"institution_name": own.name, "credit_code": own.credit_code, "region_code": own.region_code}
    problems = [_problem(field, "与单位登记的信息不一致") for field, value in known.items() if value is not None and form[field] != value]
    if normalise(form["bank_account_name"]) != normalise(form["institution_name"]):
        problems.append(_problem("bank_account_name", "应与单位名称一致"))
    if await tx.value(LICENCE_AS_PICTURE, case.application.id, PICTURE_SLOT):  # C07: everybody would see it
        problems.append({"field": "files.institution_picture", "title": "机构图片", "problem": "请勿使用营业执照，可使用单位标识等图片"})
    found = await tx.rows("SELECT DISTINCT slot FROM application_files WHERE application_id = $1", case.application.id)
    linked = {link.slot for link in found}
    for field, slot in MAYBE_FILES.items():
        if (form.get(field) is None) == (slot.name not in linked):
            said = "请上传，没有的请填“无”" if slot.name not in linked else "已上传文件，不能同时填“无”"
            problems.append({"field": f"files.{slot.name}", "title": slot.title, "problem": said})
    return problems or await place_problems(tx, form["region_code"])


def _problem(field: str, problem: str) -> ProblemView:
    return {"field": field, "title": title_of(AdmissionForm, field), "problem": problem}


async def always(_tx: Transaction, _application: Any) -> Requalify:
    """C15: 修改认证资料 is reviewed again, whatever was changed."""
    return Requalify.ALWAYS


async def take_in(_ctx: Context, tx: Transaction, application: Any) -> None:
    """What was approved is in force from now on; an institution that had expired is back, a suspended one stays suspended."""
    await bring_into_force(tx, application)
    await admit(tx, application.organisation_id)


async def bring_into_force(tx: Transaction, application: Any) -> None:
    organisation_id = application.organisation_id
    await tx.run(FACTS, application.id, valid_until(tx.ctx.now), tx.ctx.now)
    await tx.run("DELETE FROM institution_scopes WHERE organisation_id = $1", organisation_id)
    await tx.run(SCOPES, organisation_id, application.form["scopes"])
    await tx.run("DELETE FROM pictures WHERE organisation_id = $1 AND product_id IS NULL", organisation_id)
    await tx.run(PICTURES, application.id, PICTURE_SLOT)
    tx.record("institution.facts_replaced", "organisation", organisation_id, application_id=application.id)


async def admit(tx: Transaction, organisation_id: int) -> None:
    """入库. The moment of the first admission stays. A suspension is not lifted by it: that is the administrator's."""
    institution = await tx.row("SELECT * FROM institutions WHERE organisation_id = $1 FOR NO KEY UPDATE", organisation_id)
    if institution.state in {InstitutionState.APPLYING, InstitutionState.EXPIRED}:
        await move(tx, INSTITUTION_GRAPH, institution, InstitutionState.ADMITTED, updated_at=tx.ctx.now)
        await tx.run(
            "UPDATE organisations SET certified_at = coalesce(certified_at, $2), suspended_at = NULL WHERE id = $1",
            organisation_id, tx.ctx.now,
        )


def valid_until(now: datetime) -> date:
    """The last day of an admission that is granted now: the same day of the following year, in Shanghai."""
    today = now.astimezone(SHANGHAI).date()
    leap_day = (today.month, today.day) == (2, 29)
    return today.replace(year=today.year + ADMISSION_YEARS, day=28 if leap_day else today.day)


ADMISSION = register(KindRules(
    kind=ApplicationKind.INSTITUTION_ADMISSION, title="服务机构入库申请", forms={1: AdmissionForm},
    required_files=REQUIRED_FILES, optional_files=tuple(MAYBE_FILES.values()),
    role=Role.CENTRE_REVIEWER,  # C17
    working_days=5, sensitive=frozenset(), guard=anyone, compare=compare, requalify=always, on_approved=take_in,
))
