"""The whole Zhengzhou manual (高新区科技创新专业服务券 服务机构角色操作指南) over HTTP, against a running `make run`.

It is the institution's manual, so the walk follows an institution; the enterprise, the centre, the park and finance come in where
the manual has them. The rows of its order list are the manual's own: 600/5/5, 600/600/0, 1500/1500/0 and 60000/60000/0 yuan.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import settings as configuration
from demo import people
from demo.order_table import table, tabs
from demo.seed import with_check
from demo.walks import OPENS, PASSWORD, Walk, from_here, local, paper, scan, word, yuan
from handlers.orders import AGREEMENT_VERSION
from handlers.orders.labels import TAB_TITLES

IP, METERING, DECLARATION = "知识产权申请服务", "计量服务", "高新技术企业申报"
# 服务小类 -> 服务大类, 产品价格 in fen.
SERVICES = {IP: ("ip", 60_000), METERING: ("testing", 150_000), DECLARATION: ("innovation", 6_000_000)}
CONTRACT_FEN = 500  # the manual's sample
GRANTED_FEN = 5_000_000
NOTHING = {"none": True}  # 填“无”
ADMISSION = {
    "category": "ip", "introduction": "专注知识产权与科技服务。业务联系人：李小红 13800138001。", "region_code": people.ZHONGYUAN,
    "address": "郑州市中原区示例路100号", "latitude": 34.808123, "longitude": 113.563456, "pinned": True,
    "contact_name": "李小红", "contact_phone": "13800138001", "landline": "0371-60000000",
    "qualification_info": "无", "business_info": "上年度服务企业 120 家。", "finance_info": "上年度营业收入 800 万元。",
    "bank_branch": "中国银行郑州高新区支行", "bank_account": "62178580000000001",
    "no_qualification_photos": NOTHING, "no_licence_photos": NOTHING, "no_other_photos": NOTHING, "no_ranking_photos": NOTHING,
    "no_business_photos": NOTHING, "no_client_list": NOTHING, "no_recommendation": NOTHING, "no_contracts": NOTHING,
}
SECTIONS = {
    "introduction": "<p>服务内容：专利、商标与版权的申请代理。</p>", "process": "<ol><li>咨询</li><li>签约</li><li>递交</li></ol>",
    "time_limit": "签约后 30 个工作日内。", "price_make_up": "代理人工与文件费用。", "deliverables": "受理通知书与证书。",
    "charges": "<table><tr><td>发明</td><td>按合同</td></tr><tr><td>外观</td><td>按合同</td></tr></table>",
}


@dataclass
class ZhengzhouWalk(Walk):
    """One institution's way through the manual."""

    products: dict[str, int] = field(default_factory=dict)

    async def walk(self) -> None:
        at_work = (people.ADMIN, people.Z_REVIEWER, people.Z_PARK, people.Z_CENTRE, people.Z_SECOND_CENTRE, people.Z_PAYOUT,
                   people.Z_SECOND_PAYOUT)
        await self.sign_in(*(official.name for official in at_work))
        await self.office_hours()
        await self._enter()
        await self._admission()
        await self._publish()
        await self._amount()
        await self._orders()
        await self._pay()
        await self._redeem()
        await self._pay_out()
        await self._statement()
        await self._messages()

    # --- 一 注册登录, 二 申请入库 -------------------------------------------------------------------------------------------

    async def _enter(self) -> None:
        self.chapter("一 注册登录")
        self.institution = await self.newcomer(f"服务机构 {self.number}")
        self.name, self.code = f"河南示例知识产权服务{self.number}有限公司", with_check(f"91410102MA{self.number[:7]}")
        await self.register(self.institution, {
            "kind": "institution", "name": self.name, "credit_code": self.code, "region_code": people.ZHONGYUAN,
        })
        self.say(f"主体类型选择“服务机构”，登记 {self.name}（{self.code}）")
        await self.institution.accept_messages("application")
        programmes = (await self.institution.get("/programmes?limit=100"))["items"]
        self.programme = next(each for each in programmes if each["name"] == people.ZHENGZHOU_PROGRAMME)

    async def _admission(self) -> None:
        self.chapter("二 申请入库")
        path = "/institution/admission"
        form = {
            **ADMISSION, "institution_name": self.name, "credit_code": self.code, "bank_account_name": self.name,
            "scopes": [{"category": category, "content": content} for content, (category, _) in SERVICES.items()],
        }
        draft = await self.institution.put(path, {"form": form, "files": {}})
        self.say(f"填写认证资料：{word('application', draft['state'])}；地图位置已选中 {form['latitude']}, {form['longitude']}")
        for name in ("admission_letter", "product_application"):
            blank = await self.institution.download(f"{path}/papers/{name}")
            self.say(f"下载待盖章材料 {name}.docx（{len(blank)} 字节），打印、盖章、扫描")
        pictures = {slot: [await self.institution.upload(slot, f"{slot}.jpg", scan(f"{slot} {self.number}"))]
                    for slot in ("institution_picture", "institution_licence")}
        papers = {slot: [await self.institution.upload(slot, f"{slot}.pdf", paper(f"{slot} {self.number}"))]
                  for slot in ("admission_letter", "product_application")}
        await self.institution.put(path, {"form": form, "files": pictures | papers})
        submitted = await self.institution.post(f"{path}/submission")
        self.say(f"上传附件后提交：审核中，排队第 {submitted['queue']['position']} 位")
        await self.approve(self.phones[people.Z_CENTRE.name], "application", submitted["id"], "资料与营业执照一致")
        admitted = await self.institution.get(path)
        self.say(f"创新协同中心审核：{word('application', admitted['state'])}")

    # --- 三 发布产品信息 ----------------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        self.chapter("三 发布产品信息")
        centre = self.phones[people.Z_CENTRE.name]
        for content, (_, price) in SERVICES.items():
            product = await self.institution.post("/institution/products", self._product(content))
            path = f"/institution/products/{product['id']}"
            await self.institution.put(f"{path}/submission")
            if content == METERING:
                product = await self._mend(path, product)
            await self.approve(centre, "product", product["id"], "介绍完整")
            listed = await self.institution.put(f"{path}/listing")
            self.products[content] = product["id"]
            self.say(f"发布 {content}，价格 {yuan(price)}，创新协同中心审核通过：{word('product', listed['state'])}")

    async def _mend(self, path: str, product: Any) -> Any:
        await self.reject(self.phones[people.Z_CENTRE.name], "product", product["id"], "收费标准不明确")
        rejected = await self.institution.get(path)
        self.say(f"{METERING} 审核拒绝，备注“收费标准不明确”，编辑后重新提交")
        body = self._product(METERING) | {"version": rejected["version"]}
        mended = await self.institution.put(path, body | {"sections": {**SECTIONS, "charges": "每台计量器具 1500 元。"}})
        await self.institution.put(f"{path}/submission")
        return mended

    def _product(self, content: str) -> dict[str, Any]:
        category, price = SERVICES[content]
        deductions = [{"voucher_type_id": each["id"], "max_fen": price} for each in self.programme["voucher_types"]]
        return {
            "name": content, "category": category, "content": content, "price_fen": price,
            "sections": SECTIONS | {"introduction": f"<p>服务内容：{content}。</p>"}, "deductions": deductions,
        }

    # --- 四 订单处理: 金额及方向, 核定价格 --------------------------------------------------------------------------------------

    async def _amount(self) -> None:
        self.chapter("四 订单处理：企业获批服务券金额及使用方向")
        self.enterprise = await self.newcomer(f"企业 {self.number}")
        self.buyer = f"郑州示例智能装备{self.number}有限公司"
        parks = (await self.enterprise.get(f"/parks?county={people.ZHONGYUAN}"))["items"]
        organisation = {
            "kind": "enterprise", "name": self.buyer, "credit_code": with_check(f"91410102{self.number[:9]}"),
            "region_code": people.ZHONGYUAN, "park_id": next(each["id"] for each in parks if each["name"] == people.PARK),
        }
        await self.register(self.enterprise, organisation)
        self.say(f"登记企业 {self.buyer}，位于{people.PARK}")
        await self.certify(self.enterprise, organisation, "郑州市中原区科学大道100号")
        directions = [{"category": category, "content": content} for content, (category, _) in SERVICES.items()]
        path = f"/programmes/{self.programme['id']}/approved-amount"
        form = {"amount_fen": GRANTED_FEN, "directions": directions, "reason": "申请专利并申报高新技术企业"}
        await self.enterprise.put(path, {"form": form})
        submitted = await self.enterprise.post(f"{path}/submission")
        reviewer = self.phones[people.Z_REVIEWER.name]
        case = await self.case(reviewer, "application", submitted["id"])
        valid_until = (local(await self.town.now()) + timedelta(days=180)).date().isoformat()
        terms = {"amount_fen": GRANTED_FEN, "directions": directions, "valid_until": valid_until, "remark": "同意"}
        await reviewer.post(f"/approvals/{case['approval']['id']}/grant", terms)
        grant = (await self.enterprise.get("/approved-amounts"))["items"][0]
        self.say(f"获批 {yuan(grant['amount_fen'])}，有效期至 {grant['valid_until']}，使用方向："
                 + "、".join(each["content"] for each in grant["directions"]))
        await self.enterprise.post("/payment-password", {"password": PASSWORD})

    async def _orders(self) -> None:
        self.chapter("四 订单处理：核定订单价格")
        for content in (DECLARATION, METERING, IP, IP):
            self.order = await self.enterprise.post("/orders", {
                "product_id": self.products[content], "programme_id": self.programme["id"], "agreement_version": AGREEMENT_VERSION,
            })
            self.say(f"企业下单 {content}：{self.order['label']}，产品价格 {yuan(self.order['list_price_fen'])}")
        await self._show_orders()
        settled = await self.institution.put(f"/orders/{self.order['id']}/price", {"amount_fen": CONTRACT_FEN})
        self.say(f"双方线下签订合同 {yuan(CONTRACT_FEN)}，核定价格成功：订单金额 {yuan(settled['order_fen'])}")

    async def _show_orders(self) -> None:
        orders = await self.institution.get("/orders?limit=100")
        self.say("服务机构“我的订单”：")
        for line in table(orders["items"]):
            print(f"     {line}", flush=True)

    # --- 四 订单处理: 支付 ---------------------------------------------------------------------------------------------------

    async def _pay(self) -> None:
        self.chapter("四 订单处理：支付与园区审核")
        await self.enterprise.accept_messages("payment")
        park, reason = self.phones[people.Z_PARK.name], "订单金额与合同金额不一致"
        await self._submit_payment("合同初稿")
        await self.reject(park, "payment", self.order["id"], reason)
        rejected = await self.institution.get(f"/orders/{self.order['id']}")
        self.say(f"{people.PARK}审核：{rejected['label']}（{rejected['remark']}），服务券已退回，用券 {yuan(rejected['voucher_fen'])}")
        await self._show_orders()
        await self._submit_payment("服务合同")
        await self._show_orders()
        await self.approve(park, "payment", self.order["id"], "合同与订单一致")
        paid = await self.institution.get(f"/orders/{self.order['id']}")
        self.say(f"{people.PARK}审核通过：{paid['label']}，双方可正式开展服务")
        await self._show_orders()

    async def _submit_payment(self, title: str) -> None:
        today = local(await self.town.now()).date().isoformat()
        contract = await self.enterprise.upload("contract", f"{title}.pdf", paper(f"{title} {self.number}"))
        paid = await self.enterprise.post(f"/orders/{self.order['id']}/payment", {
            "voucher_fen": CONTRACT_FEN, "password": PASSWORD,
            "contract": {"attachment_id": contract, "total_fen": CONTRACT_FEN, "signed_on": today},
        })
        self.say(f"企业用券支付 {yuan(paid['voucher_fen'])} 并上传《{title}》：{paid['label']}")

    # --- 四 订单处理: 兑付 ---------------------------------------------------------------------------------------------------

    async def _redeem(self) -> None:
        self.chapter("四 订单处理：提交兑付申请")
        invoice = await self.institution.upload("invoice", "发票.pdf", paper(f"发票 {self.number}"))
        evidence = await self.institution.upload("evidence", "受理通知书.pdf", paper(f"受理通知书 {self.number}"))
        self.claim = await self.institution.post(f"/orders/{self.order['id']}/redemption", {
            "actual_fen": CONTRACT_FEN, "summary": "已提交申请并取得受理通知书", "evidence": [evidence],
            "invoice": {
                "number": f"{self.number}{self.number}", "buyer_name": self.buyer, "seller_name": self.name,
                "amount_fen": CONTRACT_FEN, "issued_on": local(await self.town.now()).date().isoformat(), "attachment_id": invoice,
            },
        })
        self.say(f"申请兑付 {self.claim['number']}：{self.claim['label']}")
        self.say(self.claim["formula"])
        first, second = self.phones[people.Z_CENTRE.name], self.phones[people.Z_SECOND_CENTRE.name]
        case = await self.case(first, "redemption", self.claim["id"])
        for check in case["facts"]["checklist"]:
            self.say(f"核对：{'✓' if check['passed'] else '✗'} {check['title']}（{check['actual']}）")
        await first.post(f"/redemptions/{self.claim['id']}/preparation", {"remark": "材料已核对"})
        await self.approve(second, "redemption", self.claim["id"], "同意兑付")
        claim = await self.institution.get(f"/redemptions/{self.claim['id']}")
        self.say(f"{first.name}初核，{second.name}审批：{claim['label']}，应兑付 {yuan(claim['payable_fen'])}，"
                 f"未足额 {yuan(claim['shortfall_fen'])}")

    async def _pay_out(self) -> None:
        self.chapter("四 订单处理：兑付资金划拨")
        maker, checker = self.phones[people.Z_PAYOUT.name], self.phones[people.Z_SECOND_PAYOUT.name]
        batch = await maker.post("/payout-batches", {"programme_id": self.programme["id"], "redemption_ids": [self.claim["id"]]})
        path = f"/payout-batches/{batch['id']}"
        await checker.put(f"{path}/confirmation")
        self.say(f"{maker.name}生成兑付批次 {batch['number']}：{batch['lines']} 笔 {yuan(batch['total_fen'])}，{checker.name}复核")
        for kind in ("xlsx", "csv"):
            content = await maker.download(f"{path}/file.{kind}")
            self.say(f"下载银行划拨文件 {kind}（{len(content)} 字节）")
        lines = (await maker.get(f"{path}/lines"))["items"]
        answers = [{"line_id": line["id"], "paid": True, "bank_reference": f"回单{self.number}"} for line in lines]
        settled = await maker.post(f"{path}/answers", {"answers": answers})
        claim = await self.institution.get(f"/redemptions/{self.claim['id']}")
        self.say(f"登记银行回单，批次{word('payout_batch', settled['state'])}；订单：{claim['label']}")
        await self._show_orders()
        counts = {tab: len((await self.institution.get(f"/orders?limit=100&tab={tab}"))["items"]) for tab in TAB_TITLES}
        print(f"     {tabs(counts)}", flush=True)

    # --- 对账单, 消息 ------------------------------------------------------------------------------------------------------

    async def _statement(self) -> None:
        """A day can be stated when it is over and its books are settled: on the next morning."""
        self.chapter("对账单")
        since = local(await self.town.now()).replace(hour=0, minute=0, second=0, microsecond=0)
        before = since + timedelta(days=1)
        await self.town.move_to(before + timedelta(hours=OPENS))
        period = f"since={since.date()}&before={before.date()}"
        stated = await self.institution.get(f"/statement?{period}")
        for total in stated["totals"]:
            if total["lines"]:
                self.say(f"{total['title']} {total['lines']} 笔，{yuan(total['fen'])}")
        ends = f"期初 {yuan(stated['opening_fen'])}，期末 {yuan(stated['closing_fen'])}"
        self.say(f"对账单 {stated['since']} 至 {stated['before']}（不含）：{ends}")
        digest = await self.institution.get(f"/statement/digest?{period}")
        for kind in ("xlsx", "pdf"):
            path = configuration.load().var_dir / f"statement-{self.number}.{kind}"
            path.write_bytes(await self.institution.download(f"/statement/file.{kind}?{period}"))
            self.say(f"下载对账单 {from_here(path)}，内容摘要 {digest['digest'][:16]}…")

    async def _messages(self) -> None:
        self.chapter("收到的消息")
        inbox = await self.institution.get("/notices?limit=100")
        self.say(f"服务机构站内消息 {len(inbox['items'])} 条：" + "、".join(each["title"] for each in reversed(inbox["items"])))
        shown = await self.institution.subscribed(1)
        self.say(f"服务机构手机上的微信订阅消息 {len(shown)} 条：" + "、".join(each["title"] for each in shown))
