"""Which channels a notice takes to whom, and when: the sides' order, what people have switched off, their quiet hours (5.2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from handlers.context import Context
from handlers.notice_texts import ALSO_BY_EMAIL, AT_ONCE, EVERYWHERE, by_sms
from handlers.transactions import Transaction
from handlers.working_days import SHANGHAI
from models.accounts import OrganisationKind, Platform
from models.notices import Channel

# The first channel of each side; the others follow when it does not get through, e-mail behind the platforms, SMS at the end.
BY_PLATFORM = {
    Platform.WECHAT: Channel.WECHAT_SUBSCRIBE, Platform.WECHAT_OA: Channel.WECHAT_OA_TEMPLATE,
    Platform.DINGTALK: Channel.DINGTALK_NOTICE,
}
ENTERPRISE_CHAIN = (Platform.WECHAT, Platform.WECHAT_OA, Platform.DINGTALK)
OTHER_CHAIN = (Platform.DINGTALK, Platform.WECHAT_OA, Platform.WECHAT)  # institutions and officials have the platform open at work
PUSHED = (Channel.WECHAT_SUBSCRIBE, Channel.WECHAT_OA_TEMPLATE, Channel.DINGTALK_NOTICE, Channel.EMAIL, Channel.SMS)
BESIDE = 100  # the step of a mail that goes beside the chain: no chain is that long

MINUTES_OF_A_DAY = 24 * 60
QUIET_HOURS = (21 * 60, 8 * 60)  # 21:00-08:00, minutes of the day in Shanghai


class Group(StrEnum):
    """What people switch on and off together."""

    APPROVALS = "approvals"      # 审核
    ORDERS = "orders"            # 订单
    VOUCHERS = "vouchers"        # 预约、摇号和服务券
    DEMANDS = "demands"          # 需求
    CONSULTANTS = "consultants"  # 顾问
    REDEMPTIONS = "redemptions"  # 兑付
    REVIEWS = "reviews"          # 评价
    RISKS = "risks"              # 核查与申诉
    SECURITY = "security"        # 账户安全
    SYSTEM = "system"            # 系统


GROUP_TITLES: Mapping[Group, str] = {
    Group.APPROVALS: "审核", Group.ORDERS: "订单", Group.VOUCHERS: "预约与服务券", Group.DEMANDS: "需求", Group.CONSULTANTS: "顾问",
    Group.REDEMPTIONS: "兑付", Group.REVIEWS: "评价", Group.RISKS: "核查与申诉",
    Group.SECURITY: "账户安全", Group.SYSTEM: "系统",
}
# A freeze, a decision one may appeal against, a payment: they must reach somebody somewhere beside the inbox.
REQUIRED = frozenset({Group.REDEMPTIONS, Group.RISKS, Group.SECURITY})
WHOLE = frozenset({Group.SECURITY})  # nothing of it is switched off: a thief would begin there
# What somebody must hear of to object or to appeal in time cannot be turned off.
EXACT = {"order_frozen": Group.RISKS, "filing_named": Group.RISKS, "filing_objection_result": Group.RISKS,
         "draw_objection_result": Group.RISKS, "reservation_disqualified": Group.RISKS,
         "filing_objected": Group.RISKS, "filing_revoked": Group.RISKS}
PREFIXES: Mapping[str, Group] = {
    "approval_": Group.APPROVALS, "application_": Group.APPROVALS, "institution_": Group.APPROVALS,
    "order_": Group.ORDERS, "price_": Group.ORDERS, "payment_": Group.ORDERS,
    "reservation_": Group.VOUCHERS, "round_": Group.VOUCHERS, "draw_": Group.VOUCHERS, "voucher_": Group.VOUCHERS,
    "demand_": Group.DEMANDS, "consultant_": Group.CONSULTANTS,
    "redemption_": Group.REDEMPTIONS, "payout_": Group.REDEMPTIONS,
    "security_": Group.SECURITY, "review_": Group.REVIEWS, "system_review_": Group.REVIEWS, "risk_": Group.RISKS, "appeal_": Group.RISKS,
}


def group_of(kind: str) -> Group:
    """By its name; a kind that belongs to no feature is the system's."""
    return EXACT.get(kind) or next((group for prefix, group in PREFIXES.items() if kind.startswith(prefix)), Group.SYSTEM)


@dataclass(frozen=True, slots=True)
class Reader:
    """Where somebody can be reached, and what they wish. `quiet`: minutes of the day, None for never."""

    person_id: int
    platforms: frozenset[str]
    has_email: bool = False
    has_phone: bool = False
    muted: Mapping[str, Sequence[str]] | None = None
    quiet: tuple[int, int] | None = QUIET_HOURS


READERS = """
SELECT p.id, p.email IS NOT NULL AS has_email, p.phone IS NOT NULL AS has_phone, w.id IS NOT NULL AS has_wishes, w.muted, w.quiet_from,
  w.quiet_until, array(
    SELECT DISTINCT i.platform FROM identities i WHERE i.person_id = p.id
      AND NOT EXISTS (SELECT FROM bot_identities b WHERE b.identity_id = i.id AND b.left_at IS NOT NULL)
  ) AS platforms  -- who has left the Official Account or the corporation gets nothing there
FROM persons p LEFT JOIN notice_preferences w ON w.person_id = p.id WHERE p.id = ANY($1)
"""


async def readers_of(tx: Transaction, people: Iterable[int]) -> dict[int, Reader]:
    return {
        found.id: Reader(
            found.id, frozenset(found.platforms), found.has_email, found.has_phone, found.muted,
            quiet_of(found) if found.has_wishes else QUIET_HOURS,
        )
        for found in await tx.rows(READERS, list(people))
    }


def quiet_of(wishes: Any) -> tuple[int, int] | None:
    return None if wishes.quiet_from is None else (wishes.quiet_from, wishes.quiet_until)


# --- where ---------------------------------------------------------------------------------------------------------------------


def plan(ctx: Context, event: Any, reader: Reader) -> dict[str, object]:
    """The channels of one notice in their order, the mail beside them, and until when it waits: the plan in `notices.data`."""
    enterprise = event.role is None and event.organisation_kind in (None, OrganisationKind.ENTERPRISE)
    channels = reachable(ctx, event, reader, ENTERPRISE_CHAIN if enterprise else OTHER_CHAIN)
    group = group_of(event.kind)
    muted = (reader.muted or {}).get(group, ())
    wanted = [channel for channel in channels if channel not in muted]
    if group in REQUIRED and not wanted:  # what was left on cannot be reached: then the others have it
        wanted = channels
    if event.kind in EVERYWHERE:
        return everywhere(channels)
    if event.kind == "digest":
        wanted = from_channel(wanted, str(event.data["channel"]))
    planned: dict[str, object] = {"channels": wanted}
    if event.kind in ALSO_BY_EMAIL and Channel.EMAIL in wanted:
        planned = {"channels": [channel for channel in wanted if channel != Channel.EMAIL], "also_by_email": True}
    # The answer to what this very person did goes at once, day and night.
    at_once = event.kind in AT_ONCE or (event.actor_id is not None and event.actor_id == reader.person_id)
    return planned if at_once else planned | waiting(ctx.now, reader.quiet, ends_at(event.data))


def everywhere(channels: Sequence[Channel]) -> dict[str, object]:
    """All at once, by day and by night; none waits for another to fail."""
    pushed = [channel for channel in channels if channel != Channel.EMAIL]
    planned: dict[str, object] = {"channels": pushed[:1], "everywhere": pushed[1:]}
    return planned | ({"also_by_email": True} if Channel.EMAIL in channels else {})


def plan_outside(ctx: Context, event: Any) -> dict[str, object]:
    """To a bare address. The facts are kept for the sender: only there are the secrets known that belong among them."""
    planned: dict[str, object] = {"channels": [event.channel], "facts": event.data}
    return planned if event.kind in AT_ONCE else planned | waiting(ctx.now, QUIET_HOURS)


def reachable(ctx: Context, event: Any, reader: Reader, chain: Sequence[Platform]) -> list[Channel]:
    """The channels that this system has and this reader is on."""
    found = [BY_PLATFORM[platform] for platform in chain if platform in reader.platforms]
    if reader.has_email and Channel.EMAIL in ctx.ports.senders:
        found.append(Channel.EMAIL)
    if reader.has_phone and Channel.SMS in ctx.ports.senders and by_sms(event.kind, event.data):
        found.append(Channel.SMS)
    return found


def from_channel(channels: list[Channel], first: str) -> list[Channel]:
    """A digest begins where its messages waited."""
    return channels[channels.index(Channel(first)):] if first in channels else [Channel(first)]


# --- when ----------------------------------------------------------------------------------------------------------------------


def ends_at(data: Mapping[str, object]) -> datetime | None:
    """When what is told is over, for an event that says so: a message of after that tells nobody anything."""
    said = data.get("ends_at")
    return None if said is None else datetime.fromisoformat(str(said))


def waiting(now: datetime, quiet: tuple[int, int] | None, over_at: datetime | None = None) -> dict[str, object]:
    """`quiet` is kept for whatever delays the message into the night; `held_until` is there if it is night now."""
    if quiet is None:
        return {}
    morning = held_until(now, quiet, over_at)
    return {"quiet": list(quiet)} | ({"held_until": morning.isoformat()} if morning else {})


def held_until(now: datetime, quiet: Sequence[int] | None, over_at: datetime | None) -> datetime | None:
    """The end of the quiet hours; None where nobody waits for it: it is day, or in the morning all is over."""
    morning = quiet_until(now, quiet)
    return None if morning is not None and over_at is not None and over_at <= morning else morning


def quiet_until(now: datetime, quiet: Sequence[int] | None) -> datetime | None:
    """The end of the quiet hours that `now` falls into, or None. They begin with their first minute and end before their last."""
    if quiet is None:
        return None
    begins, ends = quiet
    here = now.astimezone(SHANGHAI)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    minute = (here - midnight) // timedelta(minutes=1)
    inside = begins <= minute < ends if begins < ends else minute >= begins or minute < ends
    if not inside:
        return None
    tomorrow = begins > ends and minute >= begins
    return (midnight + timedelta(days=int(tomorrow), minutes=ends)).astimezone(now.tzinfo)
