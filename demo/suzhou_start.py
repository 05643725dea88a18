"""Suzhou's manual, sections 一 to 三: the role of a service institution, its consultant, its products."""

import re
from dataclasses import dataclass, field
from typing import Any

import settings as configuration
from bot.topics.identities import ROLES
from demo import people
from demo.phones import Phone
from demo.seed import with_check
from demo.visitor import PRIVACY, STANDING, Visitor
from demo.walks import Walk, from_here, paper, scan, word, yuan

LEGAL, FEATURED, STANDARD = "legal", "企业上市法律服务", "常年法律顾问"
REGULAR_FEN, FEATURED_FEN = 3_000_000, 8_000_000
CERTIFICATION = {
    "region_code": people.SUZHOU_PARK, "address": "苏州工业园区星湖街328号", "category": LEGAL,
    "introduction": "为园区企业提供公司法务、知识产权与上市法律服务。", "service_scope": "常年法律顾问、专项法律服务、企业上市法律服务",
    "contact_name": "沈立新", "landline": "0512-60000000",
}
PROFILE = {"title": "执业律师", "introduction": "从事企业法律服务十二年，办理公司治理与上市项目三十余件。"}
SECTIONS = {
    "introduction": "<p>为拟上市企业提供股改、尽职调查与申报法律服务。</p>",
    "process": "<ol><li>尽职调查</li><li>整改</li><li>申报</li></ol>",
    "time_limit": "签约后 90 个工作日内。", "price_make_up": "律师人工与差旅。", "deliverables": "法律意见书、律师工作报告。",
    "charges": "按合同约定分期支付。",
}
PARAMETERS = [{"name": "服务周期", "value": "90", "unit": "工作日"}, {"name": "服务方式", "value": "现场与远程"}]


def sentence(mail: Any) -> str:
    """What a mail says below its heading."""
    return str(mail["raw"]["text"].split("\r\n\r\n")[1])


@dataclass
class SuzhouStart(Walk):
    """`institution` with `institution_id` offers `regular` and `featured`; the consultant is `consultant_id`, with a phone and a badge."""

    products: dict[str, int] = field(default_factory=dict)

    # --- 一 认证服务机构 ----------------------------------------------------------------------------------------------------

    async def _certify_institution(self) -> None:
        self.chapter("一 认证服务机构")
        programmes = (await self.phones[people.S_ADMIN.name].get("/programmes?limit=100"))["items"]
        self.programme = next(each for each in programmes if each["name"] == people.SUZHOU_PROGRAMME)
        self.vouchers = next(each for each in programmes if each["name"] == people.SUZHOU_VOUCHERS)
        self.email = f"law{self.number}@example.com"
        self.name = f"江苏示例律师事务所（园区{self.number[:6]}）"
        self.institution, self.institution_id = await self._open(f"服务机构 苏{self.number}", self.name, "1", self.email, join=True)
        mail = await self.town.mail(self.email, "认证服务机构申请")
        self.say(f"预留邮箱 {self.email} 收到《{mail['title']}》：{sentence(mail)}")
        membership = await self.institution.get(f"/programmes/{self.programme['id']}/association-membership")
        await self.approve(self.phones[people.S_SECOND_ADMIN.name], "application", membership["id"], "同意入会")
        mail = await self.town.mail(self.email, "入会申请")
        self.say(f"入会申请另行审核，预留邮箱收到：{sentence(mail)}")
        await self._mailbox(self.institution, self.email)
        await self.institution.accept_messages("demand_work")

    async def _open(self, person: str, name: str, series: str, email: str, *, join: bool = False) -> tuple[Phone, int]:
        """Registered and certified by the supermarket's administrator: the phone of its owner, and its id."""
        owner = await self.newcomer(person)
        code = with_check(f"91320594MA{series}{self.number[:6]}")
        institution_id = await self.register(owner, {
            "kind": "institution", "name": name, "credit_code": code, "region_code": people.SUZHOU_PARK,
        })
        path = f"/programmes/{self.programme['id']}/supermarket-certification"
        form = CERTIFICATION | {
            "institution_name": name, "credit_code": code, "join_association": join, "contact_email": email, "contact_phone": owner.mobile,
        }
        files = {slot: [await owner.upload(slot, f"{slot}.jpg", scan(f"{slot} {name}"))]
                 for slot in ("institution_licence", "institution_logo")}
        await owner.put(path, {"form": form, "files": files})
        submitted = await owner.post(f"{path}/submission")
        ticked = "，勾选“同时申请成为企业发展服务促进会会员机构”" if join else ""
        self.say(f"{name}：角色认证→认证成为超市平台的服务机构{ticked}；提交：{word('application', submitted['state'])}")
        await self.approve(self.phones[people.S_ADMIN.name], "application", submitted["id"], "资料齐全")
        self.say(f"{people.S_ADMIN.name} 审核：{word('application', (await owner.get(path))['state'])}，服务机构功能已开通")
        return owner, institution_id

    async def _mailbox(self, phone: Phone, address: str) -> None:
        """The address is proved once; from then on notices come there too."""
        await phone.post("/me/mailbox/codes", {"email": address})
        mail = await self.town.mail(address, "邮箱验证码")
        code = re.findall(r"\d{6}", mail["raw"]["text"])[0]
        proved = await phone.put("/me/mailbox", {"code": code})
        self.say(f"用邮件中的验证码确认通知邮箱：{proved['email']}")

    # --- 二 管理服务顾问 ----------------------------------------------------------------------------------------------------

    async def _consultants(self) -> None:
        self.chapter("二 管理服务顾问")
        self.lawyer = await self.town.phone(f"服务顾问 {self.number}")
        added = await self.institution.post("/institution/consultants", {
            "name": "张敏", "phone": self.lawyer.mobile, "email": f"zhang{self.number}@example.com", "specialities": [LEGAL],
        })
        self.consultant_id = added["id"]
        self.say(f"顾问管理→添加顾问：{added['display_name']}（{added['name']}，{added['phone']}），"
                 f"状态：{word('consultant', added['state'])}")
        invited = await self._invite()
        await self._answer_in_browser(invited["link"])
        await self._decide_consultant()
        await self._represent()

    async def _invite(self) -> Any:
        invited = await self.institution.post(f"/institution/consultants/{self.consultant_id}/invitation")
        expires_at = invited["consultant"]["invitation"]["expires_at"]
        self.say(f"邀请入驻：链接 {len(invited['token'])} 位随机字符，只显示一次，{expires_at[:10]} 前有效")
        for kind in ("png", "svg"):
            poster = configuration.load().var_dir / f"invitation-{self.number}.{kind}"
            poster.write_bytes(await self.institution.download(f"/invitations/{invited['token']}/poster.{kind}"))
            self.say(f"下载邀请海报 {from_here(poster)}（{poster.stat().st_size} 字节，含机构名称与二维码）")
        mail = await self.town.mail(f"zhang{self.number}@example.com", invited["token"])
        text = await self.lawyer.sms(invited["token"])
        self.say(f"顾问收到邮件《{mail['title']}》和短信：{text.replace(invited['token'], '…')}")
        return invited

    async def _answer_in_browser(self, link: str) -> None:
        """Without the app; one SMS in thirty seconds is all that a number gets."""
        async with Visitor(link) as visitor:
            self.say(f"顾问在手机浏览器打开链接：《{visitor.heading}》")
            await self.town.advance(minutes=2)
            await visitor.open("/phone")
            phone = self.lawyer.mobile
            await visitor.send("/phone", [("phone", phone), ("privacy", visitor.found(PRIVACY))])
            code = re.findall(r"\d{6}", await self.lawyer.sms("验证码"))[-1]
            await visitor.send("/code", [("phone", phone), ("code", code)])
            self.say(f"同意隐私政策，用短信验证码接受邀请，进入《{visitor.heading}》")
            fields = [("name", "张敏"), *PROFILE.items(), ("specialities", LEGAL), ("specialities", "ip")]
            await visitor.send("/case", fields, scan(f"photo {self.number}"))
            self.say(f"填写个人信息、上传照片并提交：{visitor.found(STANDING)}")

    async def _decide_consultant(self) -> None:
        await self.approve(self.phones[people.S_ADMIN.name], "consultant", self.consultant_id, "资质属实")
        shown = await self.institution.get(f"/institution/consultants/{self.consultant_id}")
        self.say(f"超市管理员审核通过：{shown['display_name']} {shown['title']}，状态：{word('consultant', shown['state'])}")

    async def _represent(self) -> None:
        """In the mini-program, with the phone that the browser has proved."""
        await self.lawyer.sign_in()
        privacy = await self.lawyer.get("/privacy")
        await self.lawyer.post("/consents", {"document": privacy["document"], "version": privacy["version"]})
        await self.lawyer.bind_phone()
        await self._act_as_consultant()
        await self.lawyer.accept_messages("demand_work")
        await self._scan_badge()

    async def _act_as_consultant(self) -> None:
        me = await self.lawyer.get("/me")
        membership = next(each for each in me["memberships"] if each["organisation_id"] == self.institution_id)
        await self.lawyer.put("/sessions/current/membership", {"membership_id": membership["id"]})
        self.say(f"顾问在小程序以{ROLES[membership['role']]}身份代表 {membership['organisation_name']}")

    async def _scan_badge(self) -> str:
        """Somebody without an account scans what the phone shows. Returns the address in the code."""
        badge = await self.lawyer.get("/badge")
        async with Visitor(badge["url"]) as stranger:
            self.say(f"出示工牌，路人扫码：{stranger.found(STANDING)}（{badge['display_name']}，{badge['institution_name']}）")
        return str(badge["url"])

    # --- 三 管理服务产品 ----------------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        self.chapter("三 管理服务产品")
        await self._offer_regular(self.institution)
        path = f"/institution/regular-products/{self.products['regular']}"
        product = await self.institution.get(f"/institution/products/{self.products['regular']}")
        changed = await self.institution.put(path, {"version": product["version"], "price_fen": REGULAR_FEN - 200_000,
                                                    "parameters": [{"name": "服务期限", "value": "12"}]})
        self.say(f"修改常规产品，立即生效：{yuan(changed['price_fen'])}")
        await self.institution.delete(f"/institution/products/{product['id']}/listing")
        again = await self.institution.put(f"/institution/products/{product['id']}/listing")
        self.say(f"下架后再次上架：{word('product', again['state'])}")
        await self._offer_featured()

    async def _offer_regular(self, institution: Phone) -> None:
        found = await institution.get(f"/programmes/{self.programme['id']}/standard-products?category={LEGAL}")
        standard = next(each for each in found["items"] if each["name"] == STANDARD)
        listed = await institution.post("/institution/regular-products", {
            "standard_id": standard["id"], "price_fen": REGULAR_FEN, "remark": "含合同审查",
            "parameters": [{"name": "服务期限", "value": "12"}],
        })
        self.products.setdefault("regular", listed["id"])
        self.say(f"常规产品上架：从目录选择《{listed['name']}》，{yuan(listed['price_fen'])}，无需审核：{word('product', listed['state'])}")

    async def _offer_featured(self) -> None:
        draft = await self.institution.post("/institution/products", {
            "name": FEATURED, "category": LEGAL, "price_fen": FEATURED_FEN, "sections": SECTIONS, "parameters": PARAMETERS,
            "deductions": [{"voucher_type_id": each["id"], "max_fen": FEATURED_FEN} for each in self.vouchers["voucher_types"]],
        })
        path = f"/institution/products/{draft['id']}"
        submitted = await self.institution.put(f"{path}/submission")
        told = "、".join(f"{each['name']} {each['value']}{each['unit']}" for each in submitted["parameters"])
        self.say(f"新增特色产品《{FEATURED}》，参数：{told}；提交审核：{word('product', submitted['state'])}")
        await self.approve(self.phones[people.S_CENTRE.name], "product", draft["id"], "参数完整")
        listed = await self.institution.put(f"{path}/listing")
        self.products["featured"] = draft["id"]
        self.say(f"审核通过后上架：{word('product', listed['state'])}")

    async def _evidence(self, title: str) -> int:
        return await self.institution.upload("filing_evidence", f"{title}.pdf", paper(f"{title} {self.number}"))
