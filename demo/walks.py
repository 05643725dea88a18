"""What the walks through the manuals have in common: numbered steps, papers to upload, an entry, somebody who approves."""

import secrets
import shlex
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from demo import people
from demo.phones import Phone, Town, WalkFailedError
from demo.states import LABELS
from handlers.money import grouped_yuan
from handlers.working_days import SHANGHAI, is_working_day
from settings import ROOT

ID_NUMBER = "370103199003078655"
MISSING = {"consent": "同意隐私政策", "phone": "绑定手机", "membership": "登记或加入单位"}
OPENS, CLOSES = 9, 17  # an office; messages are held in the night, and whoever walks then would wait for the morning
PASSWORD = "274906"  # noqa: S105 - of an enterprise that does not exist


def scan(title: str) -> bytes:
    """A picture that stands for a stamped scan; another title is another file."""
    buffer = BytesIO()
    Image.new("RGB", (640, 400), (250, 250, 245)).save(buffer, "JPEG", comment=title.encode())
    return buffer.getvalue()


def paper(title: str) -> bytes:
    """A pdf of one empty page that stands for a signed paper; another title is another file."""
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
        b"<< /Title <feff%s> >>" % title.encode("utf-16-be").hex().encode(),
    )
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    end = (len(objects) + 1, table, len(objects) + 1, len(objects), len(body))
    return body + b"xref\n0 %d\n%strailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % end


def yuan(fen: int) -> str:
    return f"{grouped_yuan(fen)}元"


def word(machine: str, state: str) -> str:
    """A state as people call it: docs/states.md."""
    return LABELS[machine][state]


def from_here(path: Path) -> str:
    """As one types it where one is: relative below the current folder, else whole."""
    whole = path.absolute()
    return str(whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole)


def verifying(bundle: Path) -> str:
    """A command line that works as it stands, with the interpreter that we run in: `python` need not be anybody's."""
    return shlex.join(from_here(each) for each in (Path(sys.executable), ROOT / "verify_draw.py", bundle))


def local(moment: datetime) -> datetime:
    return moment.astimezone(SHANGHAI)


@dataclass
class Walk:
    """`number` makes the names and codes of this walk its own, so that it can be walked again."""

    town: Town
    number: str = field(default_factory=lambda: f"{secrets.randbelow(10**10):010d}")
    step: int = 0
    phones: dict[str, Phone] = field(default_factory=dict)

    def say(self, text: str) -> None:
        self.step += 1
        print(f"{self.step:>3}. {text}", flush=True)

    def chapter(self, title: str) -> None:
        print(f"\n—— {title} ——", flush=True)

    async def office_hours(self) -> None:
        """Wait for them, if it is night or a holiday."""
        now = local(await self.town.now())
        if is_working_day(now.date()) and OPENS <= now.hour < CLOSES:
            return
        day = now.date() + timedelta(days=int(now.hour >= OPENS))
        while not is_working_day(day):
            day += timedelta(days=1)
        opens = now.replace(year=day.year, month=day.month, day=day.day, hour=OPENS, minute=30, second=0, microsecond=0)
        await self.town.move_to(opens)
        self.say(f"时间调至工作日 {opens:%Y-%m-%d %H:%M}：夜间的消息要到早晨才会发出")

    async def sign_in(self, *names: str) -> None:
        for name in names:
            self.phones[name] = await self.town.at_work(name)

    async def newcomer(self, name: str) -> Phone:
        """Somebody signs in for the first time, agrees, and binds a phone."""
        phone = await self.town.phone(name)
        me = await phone.sign_in()
        self.say(f"微信登录成功，账号 {me['person_id']}，还缺：{'、'.join(MISSING[each] for each in me['missing'])}")
        privacy = await phone.get("/privacy")
        await phone.post("/consents", {"document": privacy["document"], "version": privacy["version"]})
        me = await phone.bind_phone()
        self.say(f"同意隐私政策（{privacy['version']}），绑定手机 {me['phone']}")
        return phone

    async def register(self, phone: Phone, organisation: dict[str, Any]) -> int:
        """The organisation's id; the phone acts for it from now on."""
        registered = await phone.post("/organisations", organisation)
        await phone.put("/sessions/current/membership", {"membership_id": registered["membership_id"]})
        return int(registered["organisation_id"])

    async def certify(self, phone: Phone, organisation: dict[str, Any], address: str) -> None:
        licence = await phone.upload("business_licence", "营业执照.jpg", scan("licence"))
        form = {
            "enterprise_name": organisation["name"], "credit_code": organisation["credit_code"],
            "region_code": organisation["region_code"], "address": address,
            "legal_person_name": "张伟", "legal_person_id_number": ID_NUMBER, "contact_name": "李娜", "contact_phone": "13800138000",
        }
        await phone.put("/certification", {"form": form, "files": {"business_licence": [licence]}})
        submitted = await phone.post("/certification/submission")
        self.say(f"提交实名认证：{word('application', submitted['state'])}，排队第 {submitted['queue']['position']} 位")
        await self.approve(self.phones[people.ADMIN.name], "application", submitted["id"], "材料齐全")
        self.say("系统管理员审核通过，企业已认证")

    async def case(self, reviewer: Phone, kind: str, subject_id: int) -> Any:
        """What waits for the reviewer about this subject, as opened from the queue."""
        path = f"/approvals?limit=100&kind={kind}"
        page = await reviewer.get(path)
        while True:
            for each in page["items"]:
                if each["subject_id"] == subject_id:
                    return await reviewer.get(f"/approvals/{each['id']}")
            if page["next"] is None:
                raise WalkFailedError(f"{reviewer.name} 的待审事项中没有 {kind} {subject_id}")
            page = await reviewer.get(f"{path}&after={page['next']}")

    async def approve(self, reviewer: Phone, kind: str, subject_id: int, remark: str) -> None:
        case = await self.case(reviewer, kind, subject_id)
        await reviewer.post(f"/approvals/{case['approval']['id']}/approval", {"remark": remark})

    async def reject(self, reviewer: Phone, kind: str, subject_id: int, reason: str) -> None:
        case = await self.case(reviewer, kind, subject_id)
        await reviewer.post(f"/approvals/{case['approval']['id']}/rejection", {"reason": reason})
