"""`python -m app seed`: an office with its officials, an institution with products, and a programme under Jinan's policy.

Whoever exists in the simulator by name is known here: the people are written into the tables, everything else is done by
the use-cases, under the same rules as for anybody. Safe to repeat: a database that has an administrator is left alone.
"""

from dataclasses import dataclass
from typing import Any

from clock import Clock
from demo import people
from handlers import accounts, approvals, institutions, products, programmes
from handlers.accounts.organisations import credit_code_of
from handlers.approvals import Decision
from handlers.context import SYSTEM, Actor, Context
from handlers.institutions_admission import admit
from handlers.personal import blind_index, seal
from handlers.ports import Ports
from handlers.products_content import ProductForm
from handlers.programmes import JINAN, ProgrammeView
from handlers.transactions import row, transaction
from models.accounts import OrganisationKind, Platform, Role
from settings import Settings
from simulator.state import default_mobile, person_id


@dataclass(frozen=True)
class Planter:
    settings: Settings
    clock: Clock
    ports: Ports

    def context(self, actor: Actor = SYSTEM) -> Context:
        return Context(actor, self.clock.now(), self.settings, self.ports, "seed")

    async def person(self, name: str) -> Any:
        """A person with a WeChat identity, a bound phone and a consent, as if they had signed in before."""
        open_id = person_id("wechat", self.settings.wechat_appid, name)
        phone = default_mobile(name)
        privacy = accounts.privacy()
        async with transaction(self.context()) as tx:
            person = await tx.value(
                "INSERT INTO persons (name, phone, phone_index, created_at) VALUES ($1,$2,$3,$4) RETURNING id",
                seal(self.settings, name.rpartition(" ")[2]), seal(self.settings, phone), blind_index(self.settings, phone), tx.ctx.now,
            )
            identity = await tx.value(
                "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,$2,$3,$4,$5) RETURNING id",
                person, Platform.WECHAT.value, self.settings.wechat_appid, open_id, tx.ctx.now,
            )
            await tx.run(
                "INSERT INTO consents (person_id, document, version, agreed_at) VALUES ($1,$2,$3,$4)",
                person, privacy["document"], privacy["version"], tx.ctx.now,
            )
            tx.record("person.created", "person", person, platform="wechat")
        return Actor(person_id=person, identity_id=identity)

    async def acting(self, person: Actor, role: Role) -> Context:
        """The person's context in the membership of this role."""
        found = await row(
            "SELECT m.*, o.kind FROM memberships m JOIN organisations o ON o.id = m.organisation_id"
            " WHERE m.person_id = $1 AND m.role = $2",
            person.person_id, role.value,
        )
        return self.context(Actor(
            role, person.person_id, None, person.identity_id, found.id, found.organisation_id, OrganisationKind(found.kind),
            found.region_code, found.park_id,
        ))


async def seed(settings: Settings, clock: Clock, ports: Ports) -> bool:
    """Returns False, and changes nothing, where there is an administrator already."""
    planter = Planter(settings, clock, ports)
    if await row("SELECT 1 AS yes FROM memberships WHERE role = 'admin' LIMIT 1"):
        return False
    officials = await _office(planter)
    programme = await _programme(officials)
    await _institution(planter, officials, programme)
    return True


async def _office(planter: Planter) -> dict[str, Context]:
    persons = {official.name: await planter.person(official.name) for official in people.OFFICIALS}
    first = await accounts.appoint_first_admin(planter.context(), default_mobile(people.ADMIN.name), people.OFFICE)
    admin = await planter.acting(persons[people.ADMIN.name], Role.ADMIN)
    for official in people.OFFICIALS[1:]:
        await accounts.appoint_official(
            admin, default_mobile(official.name), official.role, first["office_id"], region_code=official.region_code
        )
    return {official.name: await planter.acting(persons[official.name], official.role) for official in people.OFFICIALS}


async def _programme(officials: dict[str, Context]) -> ProgrammeView:
    manager, second = officials[people.MANAGER.name], officials[people.SECOND_MANAGER.name]
    programme = await programmes.draft_programme(manager, people.PROGRAMME, people.JINAN)
    policy = await programmes.draft_policy(manager, programme["id"], JINAN)
    await programmes.confirm_policy(second, programme["id"], policy["id"])
    for code, name, categories, cap in (
        ("AUDIT", "审计服务专用券", ["audit"], 2),
        ("CERT", "体系认证服务专用券", ["certification"], 2),
        ("GENERAL", "服务通用券", [], 2),
    ):
        await programmes.add_voucher_type(
            manager, programme["id"], code=code, name=name, categories=categories, face_fen=200_000, annual_win_cap=cap
        )
    return await programmes.publish_programme(manager, programme["id"])


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


async def _institution(planter: Planter, officials: dict[str, Context], programme: ProgrammeView) -> None:
    owner = await planter.person(people.SELLER)
    registered = await accounts.register_organisation(
        planter.context(owner), OrganisationKind.INSTITUTION, people.INSTITUTION, with_check(people.INSTITUTION_CODE), people.SHIZHONG
    )
    async with transaction(planter.context()) as tx:  # Jinan's manual starts from institutions that are in the library
        await admit(tx, registered["organisation_id"])
    seller = await planter.acting(owner, Role.OWNER)
    await institutions.update_profile(
        seller, introduction="提供体系认证与审计服务。", address="济南市市中区示例路67号", website="", landline="0531-80000000", email=""
    )
    types = {each["code"]: each["id"] for each in programme["voucher_types"]}
    for name, category, price, deduction in PRODUCTS:
        dedicated = types["AUDIT" if category == "audit" else "CERT"]
        form = ProductForm(name, category, price, SECTIONS, [(dedicated, deduction), (types["GENERAL"], deduction)])
        await _list_product(officials[people.CENTRE.name], seller, form)


async def _list_product(reviewer: Context, seller: Context, form: ProductForm) -> None:
    product = await products.create_product(seller, form)
    await products.submit_product(seller, product["id"])
    waiting = await row("SELECT id FROM approvals WHERE subject = 'product' AND subject_id = $1 AND state = 'open'", product["id"])
    await approvals.decide(reviewer, waiting.id, Decision.APPROVE)
    await products.list_product(seller, product["id"])


def with_check(code: str) -> str:
    """The 17 characters with the check character that makes them a valid credit code."""
    return next(whole for letter in "0123456789ABCDEFGHJKLMNPQRTUWXY" if (whole := credit_code_of(code + letter)))
