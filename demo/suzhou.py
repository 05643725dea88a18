"""The whole manual of Suzhou's supermarket (企业服务超市操作说明（机构版）) over HTTP, against a running `make run`.

Sections 四 to 七 are here, 一 to 三 in suzhou_start.py. The manual has reviews of transactions, and the platform reviews orders:
so one demand becomes an order with a voucher of the park, under a policy in which both sides rate each other.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from demo import people
from demo.phones import Phone, poll
from demo.seed import with_check
from demo.suzhou_start import FEATURED, FEATURED_FEN, LEGAL, PROFILE, STANDARD, SuzhouStart, sentence
from demo.visitor import STANDING, Visitor
from demo.walks import PASSWORD, local, paper, word, yuan
from handlers.notice_words import CLOSINGS
from handlers.orders import AGREEMENT_VERSION
from handlers.score_formula import POINTS
from handlers.working_days import due_after
from models.scores import ScoreKind

OUTSIDE = "310115"  # 上海市浦东新区
ANSWER = "demand_response"
OFFER_FEN = 7_500_000
CONTACT_PHONE = "13900139001"
# What the published formula gives for a filed transaction; for an order, four of those, an activity and the demands that were answered.
FILED = POINTS[ScoreKind.TRANSACTION_FILED]
ACTIVITY = POINTS[ScoreKind.ORDER_COMPLETED] + 4 * FILED + POINTS[ScoreKind.ACTIVITY_FILED] + 2 * POINTS[ScoreKind.DEMAND_ANSWERED]
TITLES = {
    "institution": "常年法律顾问询价", "consultant": "股权激励方案咨询", "product": "上市辅导法律服务", "open": "劳动合同合规审查",
    "unread": "数据合规专项咨询",
}


@dataclass
class SuzhouWalk(SuzhouStart):
    """`demands`: TITLES' keys to their ids."""

    demands: dict[str, int] = field(default_factory=dict)

    async def walk(self) -> None:
        at_work = (people.ADMIN, people.S_ADMIN, people.S_SECOND_ADMIN, people.S_CENTRE, people.S_REVIEWER)
        await self.sign_in(*(official.name for official in at_work))
        await self.office_hours()
        await self._certify_institution()
        await self._consultants()
        await self._publish()
        await self._enterprises()
        await self._post_demands()
        await self._answer()
        await self._order()
        await self._transactions()
        await self._reviews()
        await self._activity()
        await self._unanswered()
        await self._shop()
        await self._unlink()
        await self._messages()

    # --- 一 (1) 区内、区外 ---------------------------------------------------------------------------------------------------

    async def _enterprises(self) -> None:
        self.chapter("企业用户：区内与区外")
        outsider = await self.newcomer(f"企业 区外{self.number}")
        refused = await outsider.refused("/organisations", {
            "kind": "enterprise", "name": f"上海示例贸易{self.number[:6]}有限公司", "region_code": OUTSIDE,
            "credit_code": with_check(f"91310115MA1{self.number[:6]}"), "programme_id": self.programme["id"],
        })
        self.say(f"区外企业登记被拒绝：{refused['title']}")
        seen = await outsider.get(f"/products?category={LEGAL}")
        self.say(f"区外企业人员以普通用户身份浏览法律服务产品：{len(seen['items'])} 个")
        self.enterprise = await self.newcomer(f"企业 苏{self.number}")
        self.buyer, self.buyer_code = f"苏州示例精密制造{self.number[:6]}有限公司", with_check(f"91320594MA2{self.number[:6]}")
        organisation = {
            "kind": "enterprise", "name": self.buyer, "credit_code": self.buyer_code, "region_code": people.SUZHOU_PARK,
            "programme_id": self.programme["id"],
        }
        await self.register(self.enterprise, organisation)
        self.say(f"区内企业 {self.buyer} 登记为企业用户")
        await self.certify(self.enterprise, organisation, "苏州工业园区金鸡湖大道1号")
        await self.enterprise.accept_messages("demand")

    # --- 四 对接服务需求 ----------------------------------------------------------------------------------------------------

    async def _post_demands(self) -> None:
        self.chapter("四 对接服务需求：企业提交")
        self.rival, self.rival_id = await self._open(
            f"服务机构 同类{self.number}", f"江苏同类律师事务所（园区{self.number[:6]}）", "3", f"rival{self.number}@example.com"
        )
        await self._offer_regular(self.rival)
        attachment = await self.enterprise.upload("demand", "需求说明.pdf", paper(f"需求说明 {self.number}"))
        await self._post("institution", self.institution_id, "机构", attachment_ids=[attachment])
        await self._post("consultant", self.consultant_id, "顾问")
        await self._post("product", self.products["featured"], f"特色产品《{FEATURED}》")
        await self._post("open", None, "服务类型和区划公开")
        mail = await self.town.mail(self.email, "新需求")
        self.say(f"机构邮箱收到《{mail['title']}》：{sentence(mail)}")
        self.say(f"邮件中的链接：{mail['link']}")
        shown = await poll(self.institution.messages, lambda messages: any(each["kind"] == "subscribe" for each in messages), "a message")
        self.say("机构手机收到微信订阅消息：" + next(each["title"] for each in shown if each["kind"] == "subscribe"))
        told = await self.rival.until("/institution/demands", lambda page: len(page["items"]) == 1)
        self.say(f"公开的需求也推送给同类机构：{told['items'][0]['title']}（来自 {told['items'][0]['enterprise']}）")

    async def _post(self, target: str, target_id: int | None, to: str, *, key: str = "", **more: Any) -> None:
        posted = await self.enterprise.post("/demands", {
            "target": target, "target_id": target_id, "title": TITLES[key or target], "text": "请联系我们商谈服务内容、时间和报价。",
            "category": LEGAL, "region_code": people.SUZHOU_PARK, "budget_fen": 10_000_000,
            "contact": {"name": "周强", "phone": CONTACT_PHONE}, **more,
        })
        self.demands[key or target] = posted["id"]
        passed = await self.enterprise.until(f"/demands/{posted['id']}", lambda demand: demand["state"] == "open")
        self.say(f"企业针对{to}提交需求《{posted['title']}》：{word('demand', posted['state'])}，"
                 f"内容审核通过后{word('demand', passed['state'])}")

    async def _answer(self) -> None:
        self.chapter("四 对接服务需求：机构处理")
        received = await self.institution.until("/institution/demands", lambda page: len(page["items"]) == 4)
        self.say("需求管理：" + "、".join(f"{each['title']}（{word(ANSWER, each['state'])}）" for each in reversed(received["items"])))
        await self._talk(self.institution, "institution", "signed", "已签订常年法律顾问合同")
        await self._talk(self.institution, "open", "no_contact", "多次致电未接通")
        await self._talk(self.lawyer, "consultant", None, "")
        answered = await self.enterprise.until(
            f"/demands/{self.demands['institution']}", lambda demand: any(each["remark"] for each in demand["answers"]))
        told = "、".join(f"{each['institution']} {word(ANSWER, each['state'])}（{each['remark']}）" for each in answered["answers"])
        self.say(f"企业看到的答复：{told}")

    async def _talk(self, phone: Phone, key: str, outcome: str | None, remark: str) -> None:
        """查看, 接单, 联系, and the outcome if there is one already."""
        path = f"/institution/demands/{self.demands[key]}"
        viewed = await phone.post(f"{path}/view")
        early = await self._contact_too_early(phone, path)
        taken = await phone.post(f"{path}/taking")
        contact = await phone.get(f"{path}/contact")
        who = "顾问" if phone is self.lawyer else "机构"
        self.say(f"{who}查看《{viewed['title']}》，接单前联系方式：{early}")
        self.say(f"{who}接单：企业为 {taken['enterprise']}，联系人 {contact['name']} {contact['phone']}")
        state = (await phone.post(f"{path}/contacting"))["state"]
        if outcome is not None:
            state = (await phone.post(f"{path}/outcome", {"outcome": outcome, "remark": remark}))["state"]
        self.say(f"电话联系后维护对接结果：{word(ANSWER, state)}{'，' + remark if remark else ''}")

    async def _contact_too_early(self, phone: Phone, path: str) -> str:
        return str((await phone.refused(f"{path}/contact", method="GET"))["title"])

    # --- 四 转订单 -----------------------------------------------------------------------------------------------------------

    async def _order(self) -> None:
        self.chapter("四 对接服务需求：转为订单")
        path = f"/institution/demands/{self.demands['product']}"
        await self.institution.post(f"{path}/view")
        await self.institution.post(f"{path}/taking")
        offered = await self.institution.put(f"{path}/offer", {"product_id": self.products["featured"], "price_fen": OFFER_FEN})
        self.say(f"机构向企业推荐《{offered['offer']['product']}》，报价 {yuan(offered['offer']['price_fen'])}")
        wanted = {
            "product_id": self.products["featured"], "agreement_version": AGREEMENT_VERSION, "demand_id": self.demands["product"],
        }
        refused = await self.enterprise.refused("/orders", wanted | {"programme_id": self.programme["id"]})
        self.say(f"超市项目不发放服务券，在其中下单被拒绝：{refused['title']}；报价由双方线下签约")
        await self._approved_amount()
        order = await self.enterprise.post("/orders", wanted | {"programme_id": self.vouchers["id"]})
        self.order = order["id"]
        converted = await self.institution.get(path)
        self.say(f"凭园区企业服务券下单 {order['number']}，需求对接结果：{word(ANSWER, converted['state'])}")
        await self._fulfil()

    async def _approved_amount(self) -> None:
        directions = [{"category": LEGAL, "content": FEATURED}]
        path = f"/programmes/{self.vouchers['id']}/approved-amount"
        await self.enterprise.put(path, {"form": {"amount_fen": FEATURED_FEN, "directions": directions, "reason": "上市辅导"}})
        submitted = await self.enterprise.post(f"{path}/submission")
        reviewer = self.phones[people.S_REVIEWER.name]
        case = await self.case(reviewer, "application", submitted["id"])
        until = (local(await self.town.now()) + timedelta(days=180)).date().isoformat()
        await reviewer.post(f"/approvals/{case['approval']['id']}/grant", {
            "amount_fen": FEATURED_FEN, "directions": directions, "valid_until": until, "remark": "同意",
        })
        await self.enterprise.post("/payment-password", {"password": PASSWORD})
        self.say(f"企业获批{people.SUZHOU_VOUCHERS} {yuan(FEATURED_FEN)}，设置支付密码")

    async def _fulfil(self) -> None:
        order = f"/orders/{self.order}"
        paid = await self.enterprise.post(f"{order}/payment", {"voucher_fen": OFFER_FEN, "password": PASSWORD})
        self.say(f"用券支付 {yuan(paid['voucher_fen'])}：{paid['label']}")
        await self.institution.post(f"{order}/acceptance")
        await self.institution.post(f"{order}/handovers", {"summary": "法律意见书已交付"})
        completed = await self.enterprise.post(f"{order}/completion")
        self.say(f"机构接单、提交成果，企业确认：{completed['label']}")

    # --- 五 备案服务交易 ----------------------------------------------------------------------------------------------------

    async def _transactions(self) -> None:
        self.chapter("五 备案服务交易")
        for nth in range(1, 4):
            filing = await self._file(nth)
            await self._approve_filing(filing["id"], [])
        self.say("三笔交易备案审核通过")
        filing = await self._file(4)
        admin = self.phones[people.S_ADMIN.name]
        flags = (await admin.get(f"/filings/{filing['id']}"))["flags"]
        self.say("第四笔备案的提示：" + "、".join(f"{each['title']}（{len(each['facts'])} 项事实）" for each in flags))
        case = await self.case(admin, "filing", filing["id"])
        refused = await admin.refused(f"/approvals/{case['approval']['id']}/filing-approval", {"remark": "同意"})
        self.say(f"未核实提示不能通过：{refused['title']}")
        await self._approve_filing(filing["id"], [each["kind"] for each in flags])
        own = await self.institution.get(f"/institution/filings/{filing['id']}")
        self.say(f"逐项核实后：{word('filing', own['state'])}，计入得分：{'是' if own['counts'] else '否'}")
        credits_ = await self.institution.get("/institution/filing-credits")
        self.say(f"加分情况：交易 {credits_['transactions']} 笔 {yuan(credits_['transactions_fen'])}")
        score = f"/consultants/{self.consultant_id}/score"
        consultant = await self.institution.until(score, lambda answer: answer["activity_hundredths"] == 4 * FILED)
        self.say(f"顾问交易量同时增加，活跃度 {points(consultant['activity_hundredths'])}")

    async def _file(self, nth: int) -> Any:
        day = local(await self.town.now()).date() - timedelta(days=nth)
        filing = await self.institution.post("/institution/transaction-filings", {
            "happened_on": day.isoformat(), "consultant_id": self.consultant_id, "enterprise_code": self.buyer_code,
            "enterprise_name": self.buyer, "amount_fen": 100_000 * (nth + 10), "product_id": self.products["regular"],
            "summary": STANDARD, "attachment_ids": [await self._evidence(f"交易合同{nth}")],
        })
        submitted = await self.institution.put(f"/institution/filings/{filing['id']}/submission")
        self.say(f"交易备案→新增：{day} {yuan(filing['transaction']['amount_fen'])}，上传合同，提交：{word('filing', submitted['state'])}")
        return submitted

    async def _approve_filing(self, filing_id: int, acknowledged: list[str]) -> None:
        admin = self.phones[people.S_ADMIN.name]
        case = await self.case(admin, "filing", filing_id)
        await admin.post(f"/approvals/{case['approval']['id']}/filing-approval", {"remark": "属实", "acknowledged": acknowledged})

    # --- 六 管理交易评价 ----------------------------------------------------------------------------------------------------

    async def _reviews(self) -> None:
        self.chapter("六 管理交易评价")
        mine = {"grade": "good", "text": "律师专业、响应及时", "platform_stars": 5, "platform_text": "对接方便"}
        review = await self.enterprise.post(f"/orders/{self.order}/review", mine)
        hidden = await self.institution.get("/institution/reviews/received")
        self.say(f"企业评价（好评），机构评价前不可见：我收到的评价 {len(hidden['items'])} 条")
        waiting = (await self.institution.get("/institution/reviews/waiting"))["items"]
        self.say(f"评价管理→待评价：{waiting[0]['product_name']}，{waiting[0]['enterprise']}")
        await self.institution.post(f"/orders/{self.order}/enterprise-review", {"grade": "good", "text": "资料齐全、付款及时"})
        given = (await self.institution.get("/institution/reviews/given"))["items"]
        self.say(f"对企业的评价：{given[0]['enterprise']}，{given[0]['text']}")
        received = await self.institution.until(
            "/institution/reviews/received", lambda page: bool(page["items"]) and bool(page["items"][0]["review"]["text"])
        )
        self.say(f"双方均已评价，同时公布；我收到的评价：{received['items'][0]['review']['text']}（内容安全检测已通过）")
        await self.institution.post(f"/reviews/{review['id']}/reply", {"text": "感谢信任，期待再次合作"})
        self.say("机构回复评价")

    # --- 七 查看活动备案 ----------------------------------------------------------------------------------------------------

    async def _activity(self) -> None:
        self.chapter("七 查看活动备案")
        day = local(await self.town.now()).date() - timedelta(days=7)
        filing = await self.institution.post("/institution/activity-filings", {
            "happened_on": day.isoformat(), "consultant_id": self.consultant_id, "title": f"企业合规公益讲座 {self.number}",
            "place": "慧湖大厦A座", "partner": people.SUZHOU_OFFICE, "part": "organiser", "participants": 80, "is_public_benefit": True,
            "attachment_ids": [await self._evidence("活动通知与签到表")],
        })
        await self.institution.put(f"/institution/filings/{filing['id']}/submission")
        await self._approve_filing(filing["id"], [])
        counted = await self.institution.get("/institution/filing-credits")
        self.say(f"在小程序备案纯公益活动并审核通过，加分情况：活动 {counted['activities']} 次，{counted['participants']} 人次")
        score = await self.institution.until(
            f"/institutions/{self.institution_id}/score", lambda answer: answer["good"] == 1 and answer["activity_hundredths"] == ACTIVITY
        )
        for each in score["components"]:
            self.say(f"得分构成：{each['title']} {points(each['hundredths'])}，满分 {points(each['most_hundredths'])}")
        self.say(f"综合得分 {points(score['total_hundredths'])}，活跃度 {points(score['activity_hundredths'])}")
        changes = (await self.institution.get(f"/institutions/{self.institution_id}/score/changes"))["items"]
        why = changes[0]["facts"][0]
        self.say(f"最近一次变动：{changes[0]['title']} {points(changes[0]['before_hundredths'])} → {points(changes[0]['after_hundredths'])}"
                 f"（{why['title']} {why['count']} 次）")
        ranking = (await self.institution.get(f"/rankings/institutions?region_code={people.SUZHOU_PARK}&limit=100"))["items"]
        place = next(each for each in ranking if each["institution_id"] == self.institution_id)
        self.say(f"园区机构活跃度排名：第 {place['rank']} 名，共 {len(ranking)} 家")

    # --- 四 提醒与推荐 -------------------------------------------------------------------------------------------------------

    async def _unanswered(self) -> None:
        self.chapter("四 对接服务需求：未查看的提醒与推荐")
        posted_at = await self.town.now()
        await self._post("institution", self.institution_id, "机构", key="unread")
        await self.town.move_to(self._morning_after(posted_at, 2))
        await self.institution.until("/notices?limit=100", lambda page: any(
            each["kind"] == "demand_reminder" for each in page["items"]))
        self.say(f"两个工作日未查看（时间调至 {local(await self.town.now()):%m-%d %H:%M}）：机构收到“需求尚未查看”")
        await self.town.move_to(self._morning_after(posted_at, 4))
        path = f"/demands/{self.demands['unread']}"
        offered = await self.enterprise.until(path, lambda answer: bool(answer["alternatives"]))
        self.say(f"四个工作日无人接单，平台推荐：{'、'.join(each['institution'] for each in offered['alternatives'])}")
        chosen = offered["alternatives"][0]
        forwarded = await self.enterprise.post(f"{path}/forwarding", {"institution_ids": [chosen["institution_id"]]})
        self.say(f"企业一键转发给 {chosen['institution']}，已推送 {forwarded['told']} 家")
        withdrawn = await self.enterprise.post(f"{path}/withdrawal")
        self.say(f"企业撤回该需求：{word('demand', withdrawn['state'])}（{CLOSINGS[withdrawn['close_reason']]}）")
        figures = await self.institution.get("/institution/demand-figures")
        self.say(f"需求对接统计：收到 {figures['received']}，查看 {figures['viewed']}，接单 {figures['taken']}；结果："
                 + "、".join(f"{word(ANSWER, name)} {count}" for name, count in figures["outcomes"].items()))

    @staticmethod
    def _morning_after(moment: Any, working_days: int) -> Any:
        """Past the deadline, which is the last instant of a working day, and past the quiet hours of the night that follows."""
        return due_after(moment, working_days) + timedelta(hours=10)

    # --- 商铺 ------------------------------------------------------------------------------------------------------------------

    async def _shop(self) -> None:
        self.chapter("机构商铺")
        shop = await self.enterprise.get(f"/institutions/{self.institution_id}/shop")
        self.say(f"{shop['institution']['name']}：产品 {len(shop['products']['items'])} 个，顾问 "
                 + "、".join(each["display_name"] for each in shop["consultants"])
                 + f"，评价 {len(shop['reviews']['items'])} 条，得分 {points(shop['score']['total_hundredths'])}")

    # --- 二 解除关联，再次邀请 ------------------------------------------------------------------------------------------------

    async def _unlink(self) -> None:
        self.chapter("二 管理服务顾问：解除关联，再次邀请")
        badge = await self._scan_badge()
        ended = await self.institution.delete(f"/institution/consultants/{self.consultant_id}")
        async with Visitor(badge) as stranger:
            self.say(f"机构单方面解除关联：{word('consultant', ended['state'])}；再扫同一工牌：{stranger.found(STANDING)}")
        demand = await self.institution.get(f"/institution/demands/{self.demands['consultant']}")
        self.say(f"顾问名下的需求《{demand['title']}》转由机构处理：负责顾问 {demand['consultant'] or '无'}，"
                 f"状态：{word(ANSWER, demand['state'])}")
        await self.institution.until("/notices?limit=100", lambda page: any(
            each["title"] == "顾问的需求转由机构处理" for each in page["items"]))
        path = f"/institution/demands/{self.demands['consultant']}/outcome"
        done = await self.institution.post(path, {"outcome": "declined", "remark": "企业暂缓"})
        self.say(f"机构收到转办消息，维护对接结果：{word(ANSWER, done['state'])}（{done['remark']}）")
        await self._invite_again()

    async def _invite_again(self) -> None:
        """This time with the QR code of the poster, which the mini-program opens."""
        await self.town.advance(minutes=2)
        invited = await self._invite()
        shown = await self.lawyer.get(f"/invitations/{invited['token']}")
        accepted = await self.lawyer.post(f"/invitations/{invited['token']}/acceptance")
        self.say(f"顾问在小程序扫码打开 {shown['institution']['name']} 的邀请并接受：{word('consultant', accepted['state'])}")
        await self.lawyer.put(f"/consultancies/{accepted['id']}/form", PROFILE | {"name": "张敏", "specialities": [LEGAL, "ip"]})
        await self._decide_consultant()
        await self._act_as_consultant()
        await self._scan_badge()

    async def _messages(self) -> None:
        self.chapter("收到的消息")
        inbox = await self.institution.get("/notices?limit=100")
        self.say(f"服务机构站内消息 {len(inbox['items'])} 条：" + "、".join(each["title"] for each in reversed(inbox["items"])))
        mails = await self.town.mails(self.email)
        self.say(f"服务机构邮箱 {len(mails)} 封：" + "、".join(each["title"] for each in mails))
        inbox = await self.enterprise.get("/notices?limit=100")
        self.say(f"企业站内消息 {len(inbox['items'])} 条：" + "、".join(each["title"] for each in reversed(inbox["items"])))


def points(hundredths: int) -> str:
    return f"{hundredths / 100:.2f} 分"
