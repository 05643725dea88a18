"""`python -m app seed`: offices with their officials, Jinan's programme with an institution and its products, Zhengzhou's with a
park and an enterprise that has vouchers, Suzhou's supermarket with its standard list, and a voucher to order there with.

Whoever exists in the simulator by name is known here: the people are written into the tables, everything else is done by
the use-cases, under the same rules as for anybody. Safe to repeat: what is there stays, what is missing is added, so a database
that an earlier version seeded gets what is new. A platform with an administrator of its own is left alone.
"""

from typing import TypedDict

from clock import Clock
from demo import people
from demo.buyer import plant_buyer
from demo.planter import Planter
from handlers import accounts, approvals, institutions, products, programmes, standard_products
from handlers.accounts.organisations import credit_code_of
from handlers.approvals import Decision
from handlers.context import Actor, Context
from handlers.institutions_admission import admit
from handlers.ports import Ports
from handlers.products_content import ProductForm
from handlers.programmes import JINAN, SUZHOU, ZHENGZHOU, ProgrammeView, Rules
from handlers.standard_products import ParameterAskedView
from handlers.transactions import row, transaction
from models.accounts import OrganisationKind, Role
from models.programmes import ProgrammeState
from settings import Settings
from simulator.state import default_mobile


class VoucherType(TypedDict):
    code: str
    name: str
    categories: list[str]
    face_fen: int
    annual_win_cap: int | None


JINAN_TYPES: tuple[VoucherType, ...] = (
    {"code": "AUDIT", "name": "审计服务专用券", "categories": ["audit"], "face_fen": 200_000, "annual_win_cap": 2},
    {"code": "CERT", "name": "体系认证服务专用券", "categories": ["certification"], "face_fen": 200_000, "annual_win_cap": 2},
    {"code": "GENERAL", "name": "服务通用券", "categories": [], "face_fen": 200_000, "annual_win_cap": 2},
)
# Each grant says its own amount and direction: the type is universal, and its face only the unit.
ZHENGZHOU_TYPES: tuple[VoucherType, ...] = (
    {"code": "INNOVATION", "name": "科技创新专业服务券", "categories": [], "face_fen": 100, "annual_win_cap": None},
)
# The manual has reviews of transactions but no vouchers: an order of the platform needs a programme that has them.
SUZHOU_TYPES: tuple[VoucherType, ...] = (
    {"code": "SERVICE", "name": "企业服务券", "categories": [], "face_fen": 100, "annual_win_cap": None},
)
SUZHOU_VOUCHER_RULES = Rules(allocation="approved_amount", mutual_review=True)
PRODUCTS = (
    ("ISO14001环境管理体系认证", "certification", 400_000, 200_000),
    ("ISO9001质量管理体系认证", "certification", 360_000, 180_000),
    ("ISO22000食品安全管理体系认证", "certification", 800_000, 400_000),
    ("年度财务报表审计", "audit", 300_000, 150_000),
    ("研发费用专项审计", "audit", 500_000, 200_000),
)
SECTIONS = {
    "introduction": "由具备资质的团队提供服务。", "guarantee": "平台入驻机构，全程可追溯。",
    "process": "提交资料、签订合同、现场实施、出具成果。",
    "details": "服务内容以合同为准。", "time_limit": "签约后30个工作日内。", "charges": "明码标价，无附加费用。",
    "price_make_up": "人工、差旅与证书费用。", "deliverables": "证书或报告原件。",
}


def _asked(name: str, unit: str = "", *choices: str) -> ParameterAskedView:
    return {"name": name, "unit": unit, "required": True, "choices": list(choices)}


STANDARD_LIST: tuple[tuple[str, str, str, list[ParameterAskedView]], ...] = (
    ("legal", "常年法律顾问", "为企业日常经营提供法律咨询、合同审查和风险提示。", [_asked("服务期限", "月")]),
    ("finance_tax", "代理记账", "建账、记账、编制报表并按期申报纳税。", [_asked("纳税人类型", "", "小规模纳税人", "一般纳税人")]),
    ("finance_tax", "年度汇算清缴", "企业所得税年度汇算清缴申报及鉴证。", []),
    ("audit", "年度财务报表审计", "对年度财务报表进行审计并出具审计报告。", [_asked("出具时限", "工作日")]),
    ("ip", "商标注册申请", "商标检索、申请文件准备与递交。", [_asked("每件包含类别", "类")]),
    ("hr", "人事代理", "员工入离职手续、社会保险和公积金代办。", [_asked("计费方式", "", "按人", "按月")]),
    ("certification", "质量管理体系认证咨询", "体系文件编制、内审员培训与认证辅导。", [_asked("辅导周期", "周")]),
    ("training", "企业内训", "按企业需要定制的课程与讲师上门授课。", [_asked("课时", "小时"), _asked("方式", "", "线下", "线上")]),
)


async def seed(settings: Settings, clock: Clock, ports: Ports) -> bool:
    """Returns False, and changes nothing, where somebody else than the demonstration's administrator is in office."""
    planter = Planter(settings, clock, ports)
    if await row("SELECT 1 AS yes FROM memberships WHERE role = 'admin' AND state = 'active' LIMIT 1"):
        known = await planter.known(people.ADMIN.name)
        if known is None or await planter.membership(known, Role.ADMIN) is None:
            return False
    await plant_jinan(planter)
    await plant_zhengzhou(planter)
    await plant_suzhou(planter)
    return True


COUNTED = {"programmes": "项目", "organisations": "单位", "persons": "人员", "products": "服务产品", "orders": "订单"}


async def count() -> dict[str, int]:
    found = await row("SELECT " + ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in COUNTED))
    return {table: int(found[table]) for table in COUNTED}


def grown(before: dict[str, int], after: dict[str, int]) -> str:
    """For whoever seeded: how many there are, and how many of them are new."""
    return "、".join(f"{title} {after[table]:,}（新增 {after[table] - before[table]:,}）" for table, title in COUNTED.items())


async def _admin(planter: Planter) -> Context:
    person = await planter.person(people.ADMIN.name)
    if await planter.membership(person, Role.ADMIN) is None:
        await accounts.appoint_first_admin(planter.context(), default_mobile(people.ADMIN.name), people.OFFICE)
    return await planter.acting(person, Role.ADMIN)


async def plant_jinan(planter: Planter) -> None:
    """With the office's administrator and an institution that is open for business, where the manual starts."""
    admin = await _admin(planter)
    office_id = admin.actor.organisation_id
    assert office_id is not None
    officials = {each.name: await planter.official(admin, each, office_id) for each in people.OFFICIALS[1:]}
    manager, second = officials[people.MANAGER.name], officials[people.SECOND_MANAGER.name]
    programme = await _programme(manager, second, people.PROGRAMME, people.JINAN, JINAN, JINAN_TYPES)
    await _institution(planter, officials[people.CENTRE.name], programme)


async def plant_zhengzhou(planter: Planter) -> None:
    """With one enterprise that has vouchers to ask for. The manual's own are not planted: it begins with their registration."""
    admin = await _admin(planter)
    park_id = await planter.park(admin, people.PARK, people.ZHONGYUAN)
    office_id = await planter.office(admin, people.ZHENGZHOU_OFFICE, people.ZHENGZHOU)
    officials = {each.name: await planter.official(admin, each, office_id, park_id) for each in people.ZHENGZHOU_OFFICIALS}
    manager, second = officials[people.Z_MANAGER.name], officials[people.Z_SECOND_MANAGER.name]
    programme = await _programme(manager, second, people.ZHENGZHOU_PROGRAMME, people.ZHENGZHOU, ZHENGZHOU, ZHENGZHOU_TYPES)
    await plant_buyer(planter, admin, officials[people.Z_REVIEWER.name], programme["id"], park_id)


async def plant_suzhou(planter: Planter) -> None:
    """A supermarket with its standard list, and nobody in it: the manual begins with registration and certification."""
    admin = await _admin(planter)
    office_id = await planter.office(admin, people.SUZHOU_OFFICE, people.SUZHOU_PARK)
    officials = {each.name: await planter.official(admin, each, office_id) for each in people.SUZHOU_OFFICIALS}
    manager, second = officials[people.S_MANAGER.name], officials[people.S_SECOND_MANAGER.name]
    programme = await _programme(manager, second, people.SUZHOU_PROGRAMME, people.SUZHOU_PARK, SUZHOU, ())
    await _programme(manager, second, people.SUZHOU_VOUCHERS, people.SUZHOU_PARK, SUZHOU_VOUCHER_RULES, SUZHOU_TYPES)
    for category, name, introduction, parameters in STANDARD_LIST:
        if await row("SELECT 1 AS yes FROM standard_products WHERE programme_id = $1 AND name = $2", programme["id"], name) is None:
            await standard_products.add_standard_product(
                officials[people.S_ADMIN.name], programme["id"], category, name, introduction, parameters
            )


async def _programme(
    manager: Context, second: Context, name: str, region_code: str, rules: Rules, types: tuple[VoucherType, ...]
) -> ProgrammeView:
    known = await row("SELECT id FROM programmes WHERE region_code = $1 AND name = $2", region_code, name)
    programme = (
        await programmes.get_programme(manager, known.id) if known
        else await programmes.draft_programme(manager, name, region_code)
    )
    if programme["state"] == ProgrammeState.DRAFT:
        if programme["policy_number"] is None:
            policy = await programmes.draft_policy(manager, programme["id"], rules)
            await programmes.confirm_policy(second, programme["id"], policy["id"])
        there = {each["code"] for each in programme["voucher_types"]}
        for voucher_type in types:
            if voucher_type["code"] not in there:
                await programmes.add_voucher_type(manager, programme["id"], **voucher_type)
        await programmes.publish_programme(manager, programme["id"])
    return await programmes.get_programme(manager, programme["id"])


async def _institution(planter: Planter, centre: Context, programme: ProgrammeView) -> None:
    owner = await planter.person(people.SELLER)
    if await planter.membership(owner, Role.OWNER) is None:
        await _open_institution(planter, owner)
    seller = await planter.acting(owner, Role.OWNER)
    types = {each["code"]: each["id"] for each in programme["voucher_types"]}
    for name, category, price, deduction in PRODUCTS:
        if await row("SELECT 1 AS yes FROM products WHERE organisation_id = $1 AND name = $2", seller.organisation_id, name):
            continue
        dedicated = types["AUDIT" if category == "audit" else "CERT"]
        form = ProductForm(name, category, price, SECTIONS, [(dedicated, deduction), (types["GENERAL"], deduction)])
        await _list_product(centre, seller, form)


async def _open_institution(planter: Planter, owner: Actor) -> None:
    registered = await accounts.register_organisation(
        planter.context(owner), OrganisationKind.INSTITUTION, people.INSTITUTION, with_check(people.INSTITUTION_CODE), people.SHIZHONG
    )
    async with transaction(planter.context()) as tx:  # Jinan's manual starts from institutions that are in the library
        await admit(tx, registered["organisation_id"])
    await institutions.update_profile(
        await planter.acting(owner, Role.OWNER), introduction="提供体系认证与审计服务。", address="济南市市中区示例路67号", website="",
        landline="0531-80000000", email="",
    )


async def _list_product(reviewer: Context, seller: Context, form: ProductForm) -> None:
    product = await products.create_product(seller, form)
    await products.submit_product(seller, product["id"])
    waiting = await row("SELECT id FROM approvals WHERE subject = 'product' AND subject_id = $1 AND state = 'open'", product["id"])
    await approvals.decide(reviewer, waiting.id, Decision.APPROVE)
    await products.list_product(seller, product["id"])


def with_check(code: str) -> str:
    """The 17 characters with the check character that makes them a valid credit code."""
    return next(whole for letter in "0123456789ABCDEFGHJKLMNPQRTUWXY" if (whole := credit_code_of(code + letter)))
