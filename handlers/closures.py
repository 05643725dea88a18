"""注销账号: the end of a person's account by their own word (PIPL 47; docs/decisions/0241).

What identifies somebody is deleted in the same commit; what was done with public money keeps the person's id and nothing else.
"""

from datetime import datetime
from typing import Any, TypedDict

from handlers.accounts.members import LOCK_ORGANISATION
from handlers.closures_reasons import OpenMatterView, lock_admins, open_matters
from handlers.consultants.managing import end_link
from handlers.consultants.telling import tell_institution
from handlers.context import Context
from handlers.moves import move
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, transaction
from models.accounts import MEMBERSHIP_GRAPH, MembershipState
from models.notices import DELIVERY_GRAPH, DeliveryState

DELETED = (
    "姓名、手机号、通知邮箱", "微信、钉钉用户标识与登录会话、登录设备", "聊天绑定、对话与未使用的链接", "消息设置、订阅授权与收藏",
    "支付密码", "单位成员与岗位身份、顾问关联及顾问的公开资料与照片",
)
KEPT = ("办事记录（仅留内部编号，不含姓名、手机号和用户标识）", "单位的申报、订单与兑付材料（自事项办结之日起保存十年）")

IS_ADMIN = "SELECT true FROM memberships WHERE person_id = $1 AND role = 'admin' AND state = 'active' LIMIT 1"
NO_CODES = "DELETE FROM bindings WHERE person_id = $1"
# FOR UPDATE: whoever signs in holds the identity FOR KEY SHARE, so one of the two waits (accounts.signing_in.IDENTITY).
LOCK_IDENTITIES = "SELECT id FROM identities WHERE person_id = $1 ORDER BY id FOR UPDATE"
# Behind it nobody adds a row that refers to the person, and what was being added is there.
LOCK_PERSON = "SELECT * FROM persons WHERE id = $1 FOR UPDATE"
OWNED = "SELECT organisation_id FROM memberships WHERE person_id = $1 AND role = 'owner' AND state = 'active' ORDER BY organisation_id"
MEMBERSHIPS = """
SELECT * FROM memberships WHERE person_id = $1 AND state = 'active' AND role <> 'consultant' ORDER BY id FOR NO KEY UPDATE
"""
CONSULTANCIES = "SELECT * FROM consultants WHERE person_id = $1 AND state <> 'ended' ORDER BY id FOR UPDATE"
DROP = """
UPDATE deliveries SET state = 'superseded', finished_at = $2 WHERE person_id = $1 AND state IN ('planned', 'held')
"""
for _from in (DeliveryState.PLANNED, DeliveryState.HELD):
    DELIVERY_GRAPH.event(_from, DeliveryState.SUPERSEDED)  # what DROP walks
OF_IDENTITIES = "identity_id IN (SELECT id FROM identities WHERE person_id = $1)"
FORGET = (
    "DELETE FROM payment_passwords WHERE membership_id IN (SELECT id FROM memberships WHERE person_id = $1)",
    "DELETE FROM statement_links WHERE person_id = $1",
    "DELETE FROM help_requests WHERE person_id = $1 AND answered_at IS NULL",
    "DELETE FROM email_codes WHERE person_id = $1",
    "DELETE FROM notice_preferences WHERE person_id = $1",
    "DELETE FROM favourites WHERE person_id = $1",
    "UPDATE invitations SET phone_index = NULL WHERE consultant_id IN (SELECT id FROM consultants WHERE person_id = $1)",
    """
    UPDATE consultants SET name = NULL, phone = NULL, phone_index = NULL, email = NULL, display_name = '已注销', title = '',
      introduction = '' WHERE person_id = $1
    """,
    f"UPDATE bindings SET identity_id = NULL WHERE {OF_IDENTITIES}",
    f"UPDATE content_checks SET identity_id = NULL WHERE {OF_IDENTITIES}",
    f"DELETE FROM dialogues WHERE person_id = $1 OR {OF_IDENTITIES}",
    f"DELETE FROM talk_lines WHERE {OF_IDENTITIES}",
    f"DELETE FROM subscriptions WHERE {OF_IDENTITIES}",
    f"DELETE FROM subscription_reports WHERE {OF_IDENTITIES}",
    f"DELETE FROM bot_identities WHERE {OF_IDENTITIES}",
    "DELETE FROM bot_cards c USING identities i WHERE i.person_id = $1 AND (c.app_id, c.open_id) = (i.app_id, i.open_id)",
    """
    DELETE FROM talk_windows w USING identities i
    WHERE i.person_id = $1 AND (w.platform, w.app_id, w.open_id) = (i.platform, i.app_id, i.open_id)
    """,
    f"DELETE FROM sessions WHERE person_id = $1 OR {OF_IDENTITIES}",
    "DELETE FROM identities WHERE person_id = $1",
)
CLOSE = """
UPDATE persons SET name = NULL, phone = NULL, phone_index = NULL, email = NULL, email_index = NULL, closed_at = $2 WHERE id = $1
"""


class AccountStillNeeded(Refusal):
    """`data.items`: what has to be brought to its end or handed over first, each with its organisation (OpenMatterView)."""

    kind, code, title = Kind.CONFLICT, "account_still_needed", "账号还有未了结的事项，暂不能注销"


class ClosedView(TypedDict):
    """The last word to the person; keep `person_id` to ask about the account later."""

    person_id: int
    closed_at: datetime
    text: str
    deleted: list[str]
    kept: list[str]


async def close_account(ctx: Context) -> ClosedView:
    """Ends everything that the person is and has here, from all devices at once; again it answers the same. Raises AccountStillNeeded."""
    async with transaction(ctx) as tx:
        person, memberships = await _lock(tx)
        closed_at = person.closed_at
        if closed_at is None:
            items: list[OpenMatterView] = await open_matters(tx)
            if items:
                raise AccountStillNeeded(items=items)
            await _end(tx, memberships)
            await tx.run(CLOSE, ctx.person_id, closed_at := ctx.now)
        return tx.reply(ClosedView(
            person_id=ctx.person_id, closed_at=closed_at, text="账号已注销，所有设备已退出登录", deleted=list(DELETED), kept=list(KEPT),
        ))


async def _lock(tx: Transaction) -> tuple[Any, list[Any]]:
    """The person's row and memberships, when nobody can sign in, bind a chat or join an organisation as them any more."""
    person_id = tx.ctx.person_id
    if await tx.value(IS_ADMIN, person_id):
        await lock_admins(tx)
    await tx.run(NO_CODES, person_id)
    await tx.rows(LOCK_IDENTITIES, person_id)
    person = await tx.row(LOCK_PERSON, person_id)
    await tx.rows(LOCK_IDENTITIES, person_id)  # those that were linked while we waited
    for owned in await tx.rows(OWNED, person_id):
        await tx.run(LOCK_ORGANISATION, owned.organisation_id)
    return person, await tx.rows(MEMBERSHIPS, person_id)


async def _end(tx: Transaction, memberships: list[Any]) -> None:
    person_id = tx.ctx.person_id
    for membership in memberships:
        await move(tx, MEMBERSHIP_GRAPH, membership, MembershipState.ENDED, ended_at=tx.ctx.now)
    for consultant in await tx.rows(CONSULTANCIES, person_id):
        tell_institution(tx, await end_link(tx, consultant), "unlinked")
    await tx.run(DROP, person_id, tx.ctx.now)
    for statement in FORGET:
        await tx.run(statement, person_id)
    tx.record("person.closed", "person", person_id, memberships=[one.id for one in memberships])
