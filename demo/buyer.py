"""An enterprise that has vouchers from the first minute: a newcomer asks the bot for its balance before having walked any manual.

In Zhengzhou, where a reviewer grants the amount: in Jinan vouchers come out of a draw alone.
"""

from collections.abc import AsyncIterator
from datetime import timedelta

from demo import people
from demo.planter import Planter
from demo.walks import scan
from handlers import accounts, applications, approvals, approved_amounts, attachments
from handlers.approvals import Decision
from handlers.context import Actor, Context
from handlers.enterprises import CERTIFICATION
from handlers.transactions import row
from handlers.working_days import SHANGHAI
from models.accounts import OrganisationKind, Role

GRANTED_FEN = 2_000_000
VALID_DAYS = 730  # the walks move the clock by weeks, and whoever asks afterwards shall still find vouchers
DIRECTIONS = [{"category": "ip", "content": "知识产权申请服务"}, {"category": "testing", "content": "计量服务"}]
REASON = "申请专利并校准检测设备"
CERTIFICATE = {
    "address": "郑州市中原区科学大道66号", "legal_person_name": "陈建国", "legal_person_id_number": "410102198506153022",
    "contact_name": "陈晨", "contact_phone": "13800138006",
}
WAITING = """
SELECT a.id FROM approvals a JOIN applications p ON p.id = a.subject_id
WHERE a.subject = 'application' AND a.state = 'open' AND p.organisation_id = $1 AND p.kind = $2
"""


async def plant_buyer(planter: Planter, admin: Context, reviewer: Context, programme_id: int, park_id: int) -> None:
    """Registered, certified and granted; what of it has been done stays."""
    owner = await planter.person(people.BUYER)
    if await planter.membership(owner, Role.OWNER) is None:
        await _register(planter, owner, park_id)
    buyer = await planter.acting(owner, Role.OWNER)
    if (await row("SELECT certified_at FROM organisations WHERE id = $1", buyer.organisation_id)).certified_at is None:
        await _certify(buyer, admin)
    if await row("SELECT 1 AS yes FROM grants WHERE organisation_id = $1 LIMIT 1", buyer.organisation_id) is None:
        await _grant(buyer, reviewer, programme_id)


async def _register(planter: Planter, owner: Actor, park_id: int) -> None:
    await accounts.register_organisation(
        planter.context(owner), OrganisationKind.ENTERPRISE, people.ENTERPRISE, people.ENTERPRISE_CODE, people.ZHONGYUAN, park_id
    )


async def _certify(buyer: Context, admin: Context) -> None:
    if await _waiting(buyer, CERTIFICATION.kind) is None:
        licence = await attachments.upload(buyer, "business_licence", "营业执照.jpg", _bytes("licence"))
        named = {"enterprise_name": people.ENTERPRISE, "credit_code": people.ENTERPRISE_CODE, "region_code": people.ZHONGYUAN}
        await applications.save_draft(buyer, CERTIFICATION.kind, None, CERTIFICATE | named, {"business_licence": [licence["id"]]})
        await applications.submit(buyer, CERTIFICATION.kind)
    case = await _waiting(buyer, CERTIFICATION.kind)
    assert case is not None
    await approvals.decide(admin, case, Decision.APPROVE)


async def _grant(buyer: Context, reviewer: Context, programme_id: int) -> None:
    kind = approved_amounts.APPROVED_AMOUNT.kind
    if await _waiting(buyer, kind) is None:
        form = {"amount_fen": GRANTED_FEN, "directions": DIRECTIONS, "reason": REASON}
        await approved_amounts.save_application(buyer, programme_id, form, {})
        await applications.submit(buyer, kind, programme_id)
    case = await _waiting(buyer, kind)
    assert case is not None
    await approved_amounts.approve_amount(
        reviewer, case, amount_fen=GRANTED_FEN, directions=DIRECTIONS, remark="同意",
        valid_until=(buyer.now.astimezone(SHANGHAI) + timedelta(days=VALID_DAYS)).date(),
    )


async def _waiting(buyer: Context, kind: str) -> int | None:
    """The open case of an earlier seed that did not come to its end, or of this one."""
    found = await row(WAITING, buyer.organisation_id, kind)
    return int(found.id) if found else None


async def _bytes(title: str) -> AsyncIterator[bytes]:
    yield scan(title)
