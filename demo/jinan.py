"""The whole Jinan manual (济企通专项服务券系统使用说明书) over HTTP, against a running `make run`.

Each step prints what the person sees. Time is moved in the simulator; nothing sleeps but the polling for what the jobs do.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import settings as configuration
import verify_draw
from demo import people
from demo.phones import Phone, WalkFailedError
from demo.seed import with_check
from demo.walks import PASSWORD, Walk, local, scan, verifying, word, yuan
from handlers.orders import AGREEMENT_VERSION


@dataclass
class JinanWalk(Walk):
    """One enterprise's way through the manual."""

    async def walk(self) -> None:
        await self._officials()
        await self.office_hours()
        await self._enter()
        await self._certify()
        await self._qualify()
        round_ = await self._announce_round()
        await self._reserve(round_)
        await self._draw(round_)
        await self._wallet(round_)
        await self._first_order()
        await self._second_order()
        await self._messages()

    # --- 1 进入平台 ------------------------------------------------------------------------------------------------------

    async def _officials(self) -> None:
        at_work = (people.ADMIN, people.MANAGER, people.SECOND_MANAGER, people.DRAW_OFFICER, people.WITNESS, people.REVIEWER)
        await self.sign_in(*(official.name for official in at_work), people.SELLER)
        self.seller = self.phones[people.SELLER]
        await self.seller.accept_messages("order_work")

    async def _enter(self) -> None:
        self.chapter("1 进入平台")
        self.enterprise = await self.newcomer(f"企业 {self.number}")
        self.name, self.code = f"济南示例精密制造{self.number}有限公司", with_check(f"91370103{self.number[:9]}")
        self.organisation = {
            "kind": "enterprise", "name": self.name, "credit_code": self.code, "region_code": people.SHIZHONG,
        }
        await self.register(self.enterprise, self.organisation)
        self.say(f"登记企业 {self.name}（{self.code}），以负责人身份办理")

    # --- 2 企业认证, 3 获取资格 --------------------------------------------------------------------------------------------

    async def _certify(self) -> None:
        self.chapter("2 企业认证")
        await self.certify(self.enterprise, self.organisation, "济南市市中区示例路1号")

    async def _qualify(self) -> None:
        self.chapter("3 获取资格")
        programmes = await self.enterprise.get("/programmes")
        self.programme = next(each for each in programmes["items"] if each["name"] == people.PROGRAMME)
        form = {
            "enterprise_name": self.name, "region_code": people.SHIZHONG, "tax_last_year_fen": 36_000_000, "main_business": "精密零件加工",
            "employees": 58, "revenue_last_year_fen": 1_860_000_000, "industry": "C", "assets_last_year_fen": 940_000_000,
            "size_class": "small", "honours": ["specialised"],
        }
        files = {
            slot: [await self.enterprise.upload(slot, f"{slot}.jpg", scan(slot))]
            for slot in ("admission_form", "business_licence", "commitment_letter")
        }
        path = f"/programmes/{self.programme['id']}/qualification"
        await self.enterprise.put(path, {"form": form, "files": files})
        submitted = await self.enterprise.post(f"{path}/submission")
        await self.approve(self.phones[people.REVIEWER.name], "application", submitted["id"], "材料齐全")
        self.say(f"申请《{self.programme['name']}》资格，审核通过")
        form["employees"] = 60
        updated = await self.enterprise.post(f"{path}/amendment", {"form": form, "files": files})
        self.say(f"更新职工总数为 60，无需再次审核：{word('application', updated['state'])}")

    # --- 4.1 预约服务券 ---------------------------------------------------------------------------------------------------

    async def _announce_round(self) -> Any:
        self.chapter("4.1 预约服务券")
        manager, second = self.phones[people.MANAGER.name], self.phones[people.SECOND_MANAGER.name]
        await self._void_left_overs(manager, second)
        now = (await self.town.now()).replace(microsecond=0)
        self.types = {each["code"]: each for each in self.programme["voucher_types"]}
        self.times = {
            "opens_at": now + timedelta(hours=1), "closes_at": now + timedelta(days=3), "draw_at": now + timedelta(days=4),
            "publicity_at": now + timedelta(days=4, hours=1), "publicity_until": now + timedelta(days=7),
        }
        self.source = f"中国福利彩票双色球 {local(self.times['draw_at']):%Y-%m-%d} 开奖号码（模拟）"
        round_ = await manager.post(f"/programmes/{self.programme['id']}/rounds", {
            "number": f"{now:%y%m%d%H%M%S}", "name": f"{local(now):%Y年%m月} 批次",
            **{key: at.isoformat() for key, at in self.times.items()},
            "valid_until": (local(now) + timedelta(days=60)).date().isoformat(), "notes": "每家企业每批次限预约一类服务券。",
            "quotas": [{"voucher_type_id": each["id"], "quota": 10, "alternates": 5} for each in self.types.values()],
            "randomness": [{"name": self.source, "at": (self.times["draw_at"] - timedelta(minutes=30)).isoformat(), "format": "ssq"}],
        })
        await second.put(f"/rounds/{round_['id']}/confirmation")
        self.say(f"项目经理发布 {round_['name']}（{round_['number']}），由另一人复核确认")
        for name in (people.DRAW_OFFICER.name, people.WITNESS.name):
            secret = await self.phones[name].put(f"/rounds/{round_['id']}/draw-secret")
            self.say(f"{name} 提交随机数承诺 {secret['commitment'][:16]}…")
        return round_

    async def _void_left_overs(self, manager: Phone, second: Phone) -> None:
        """A walk that was broken off leaves its round behind, and two rounds of a programme do not overlap."""
        for round_ in (await manager.get(f"/rounds?programme_id={self.programme['id']}&limit=100"))["items"]:
            if round_["state"] not in ("final", "voided"):
                path = f"/rounds/{round_['id']}/voiding"
                if round_["state"] in ("committed", "drawn", "publicity"):
                    await manager.post(path, {"reason": "演示中断"})
                    await second.post(f"{path}/confirmation")
                else:
                    await manager.put(path, {"reason": "演示中断"})
                self.say(f"作废上次演示留下的批次 {round_['number']}")

    async def _reserve(self, round_: Any) -> None:
        await self.town.move_to(self.times["opens_at"])
        path = f"/rounds/{round_['id']}"
        await self.enterprise.until(path, lambda answer: answer["state"] == "open")
        self.say(f"预约开始（时间调至 {local(self.times['opens_at']):%m-%d %H:%M}），首页出现预约飘窗")
        choices = await self.enterprise.get(f"{path}/eligibility")
        self.say("可预约：" + "、".join(choice["name"] for choice in choices["voucher_types"] if choice["enabled"]))
        await self.enterprise.accept_messages("reservation")
        receipt = await self.enterprise.post(f"{path}/reservation", {"voucher_type_id": self.types["AUDIT"]["id"]})
        self.say(f"预约成功：{receipt['voucher_type']}，票号 {receipt['ticket_no']}")
        self.receipt = await self.enterprise.put(f"{path}/reservation", {"voucher_type_id": self.types["CERT"]["id"]})
        self.say(f"预约期内改为：{self.receipt['voucher_type']}（票号不变）")

    # --- 4.2 预约记录 -----------------------------------------------------------------------------------------------------

    async def _draw(self, round_: Any) -> None:
        self.chapter("4.2 预约记录")
        path = f"/rounds/{round_['id']}"
        await self.town.move_to(self.times["closes_at"])
        committed = await self.enterprise.until(path, lambda answer: answer["state"] == "committed")
        self.say(f"预约截止：公布 {committed['ticket_count']} 个票号的名单摘要与全部承诺")
        await self.town.move_to(self.times["draw_at"])
        at = (self.times["draw_at"] - timedelta(minutes=30)).isoformat()
        balls = await self.town.control(f"/lottery?at={at.replace('+', '%2B')}", method="GET")
        for name in (people.DRAW_OFFICER.name, people.WITNESS.name):
            await self.phones[name].put(f"{path}/public-values", {"values": [{"source": self.source, "value": balls["text"]}]})
        await self.enterprise.until(path, lambda answer: answer["state"] in ("drawn", "publicity"))
        hidden = await self.enterprise.get(f"/reservations/{self.receipt['id']}")
        self.say(f"两人各自填写开奖号码 {balls['text']}，系统摇号；公示前预约记录显示：{hidden['state_title']}")
        await self.town.move_to(self.times["publicity_at"])
        await self.enterprise.until(path, lambda answer: answer["state"] == "publicity")
        result = await self.enterprise.get(f"/reservations/{self.receipt['id']}")
        self.say(f"到达公示时间：{result['state_title']}")
        await self._verify(round_, result)

    async def _verify(self, round_: Any, result: Any) -> None:
        bundle = await self.enterprise.get(f"/rounds/{round_['id']}/draw/bundle")
        path = configuration.load().var_dir / f"bundle-{round_['number']}.json"
        path.write_text(json.dumps(bundle, ensure_ascii=False), encoding="utf-8")
        self.say(f"任何人都能验证：{verifying(path)}")
        proof = ["--ticket", result["ticket_no"], "--credit-code", self.code, "--salt", result["salt"]]
        if verify_draw.main([str(path), *proof]) != 0:
            raise WalkFailedError("verify_draw.py does not accept the published bundle")

    # --- 4.3 我的券包, 4.4 支付密码 ------------------------------------------------------------------------------------------

    async def _wallet(self, round_: Any) -> None:
        self.chapter("4.3 我的券包，4.4 支付密码，4.5 账单")
        await self.town.move_to(self.times["publicity_until"])
        await self.phones[people.SECOND_MANAGER.name].put(f"/rounds/{round_['id']}/finalisation")
        lots = (await self.enterprise.get("/wallet/lots"))["items"]
        for lot in lots:
            self.say(f"券包：{lot['voucher_type']} {yuan(lot['available_fen'])}，有效期至 {lot['valid_until']}（含当日）")
        await self.enterprise.post("/payment-password", {"password": PASSWORD})
        self.say("设置支付密码")

    # --- 4.6 购买服务券产品, 4.7 我的订单 --------------------------------------------------------------------------------------

    async def _place_and_pay(self, fen: int) -> Any:
        found = await self.enterprise.get("/products?vouchers_only=true&words=ISO14001")
        product = found["items"][0]
        order = await self.enterprise.post("/orders", {
            "product_id": product["id"], "programme_id": self.programme["id"], "agreement_version": AGREEMENT_VERSION,
            "message": "请尽快联系",
        })
        self.say(f"提交订单 {order['number']}：{order['product_name']} 原价 {yuan(order['list_price_fen'])}，"
                 f"最多抵扣 {yuan(order['max_voucher_fen'])}")
        preview = await self.enterprise.get(f"/orders/{order['id']}/payment-preview?voucher_fen={fen}")
        self.say("预览支付：" + "，".join(f"{each['voucher_type']} {yuan(each['fen'])}" for each in preview["spends"]))
        await self.enterprise.accept_messages("payment")
        paid = await self.enterprise.post(f"/orders/{order['id']}/payment", {"voucher_fen": fen, "password": PASSWORD})
        self.say(f"支付成功：用券 {yuan(paid['voucher_fen'])}，线下支付 {yuan(paid['offline_fen'])}；{paid['label']}")
        return paid

    async def _serve(self, order: Any, summary: str) -> None:
        accepted = await self.seller.post(f"/orders/{order['id']}/acceptance")
        self.say(f"服务商接单：{accepted['label']}")
        delivered = await self.seller.post(f"/orders/{order['id']}/handovers", {"summary": summary})
        self.say(f"服务商提交完成：{delivered['label']}")

    async def _first_order(self) -> None:
        self.chapter("4.6 购买服务券产品，4.7 我的订单")
        order = await self._place_and_pay(120_000)
        await self._serve(order, "证书已邮寄")
        again = await self.enterprise.post(f"/orders/{order['id']}/rework", {"reason": "证书信息有误，请更正"})
        self.say(f"企业选择未完成，退回服务商：{again['label']}（第 {again['rework_count']} 次）")
        await self.seller.post(f"/orders/{order['id']}/handovers", {"summary": "已更正并重新邮寄"})
        completed = await self.enterprise.post(f"/orders/{order['id']}/completion")
        self.say(f"企业确认完成：{completed['label']}")
        review = {"grade": "good", "text": "专业、及时", "platform_stars": 5, "platform_text": "办理方便"}
        await self.enterprise.post(f"/orders/{order['id']}/review", review)
        self.say("评价：好评，平台 5 星")

    async def _second_order(self) -> None:
        order = await self._place_and_pay(80_000)
        await self._serve(order, "审核报告与证书")
        await self.enterprise.post(f"/orders/{order['id']}/completion")
        self.say("第二个订单确认完成，无人评价")
        moved = await self.town.advance(days=7)
        done = await self.enterprise.until(f"/orders/{order['id']}", lambda answer: answer["reviewed"])
        self.say(f"七天后（{local(moved):%Y-%m-%d %H:%M}）系统自动评价：{done['label']}，系统默认评价不计入评分")
        score = await self.enterprise.get(f"/institutions/{order['institution_id']}/score")
        self.say(f"服务机构评分：好评 {score['good']}，系统默认 {score['system']}")

    async def _messages(self) -> None:
        self.chapter("收到的消息")
        bills = (await self.enterprise.get("/wallet/bills"))["items"]
        for bill in bills:
            sign = "+" if bill["amount_fen"] > 0 else "−"
            self.say(f"账单：{sign}{yuan(abs(bill['amount_fen']))} {bill['voucher_type']} {bill['remark']}")
        inbox = await self.enterprise.until("/notices?limit=100", lambda page: any(
            each["kind"] == "system_review_made" for each in page["items"]))
        self.say(f"站内消息 {len(inbox['items'])} 条：" + "、".join(each["title"] for each in reversed(inbox["items"])))
        shown = await self.enterprise.subscribed(4)
        self.say(f"企业手机上的微信订阅消息 {len(shown)} 条：" + "、".join(each["title"] for each in shown))
