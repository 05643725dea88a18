"""What somebody wants to be told where, and when not at all; the inbox has everything, whatever is switched off (5.2)."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from handlers.context import Context
from handlers.notice_plans import GROUP_TITLES, MINUTES_OF_A_DAY, PUSHED, QUIET_HOURS, REQUIRED, WHOLE, Group, quiet_of
from handlers.refusals import Kind, Refusal
from handlers.transactions import row, transaction
from models.notices import Channel

QUIET_MINUTES_MAX = 16 * 60  # a message is tried for two days, so it needs some hours of each


class NoticesRequired(Refusal):
    """`data.group`: what the law wants told needs one channel beside the inbox."""

    kind, code, title = Kind.INVALID, "notices_required", "核查、申诉与兑付通知至少保留一种接收方式，账户安全通知不能关闭"


class QuietHoursWrong(Refusal):
    """`data.minutes_max`"""

    kind, code, title = Kind.INVALID, "quiet_hours_wrong", "免打扰时段须在16小时以内，且起止时间不能相同"


class ChannelPreferenceView(TypedDict):
    channel: Channel
    is_on: bool


class GroupPreferenceView(TypedDict):
    """`is_required`: one channel at least stays on."""

    group: Group
    title: str
    is_required: bool
    channels: list[ChannelPreferenceView]


class QuietHoursView(TypedDict):
    """HH:MM in Shanghai; from the first minute to before the last."""

    begins: str
    ends: str


class NoticePreferencesView(TypedDict):
    """`quiet_hours`: null when there are none."""

    groups: list[GroupPreferenceView]
    quiet_hours: QuietHoursView | None


MINE = "SELECT * FROM notice_preferences WHERE person_id = $1"
PUT = """
INSERT INTO notice_preferences (person_id, muted, quiet_from, quiet_until, updated_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (person_id) DO UPDATE SET muted = EXCLUDED.muted, quiet_from = EXCLUDED.quiet_from, quiet_until = EXCLUDED.quiet_until,
  updated_at = EXCLUDED.updated_at
RETURNING *
"""


async def show_preferences(ctx: Context) -> NoticePreferencesView:
    return view(await row(MINE, ctx.person_id))


async def put_preferences(
    ctx: Context, muted: Mapping[Group, Sequence[Channel]], quiet_hours: tuple[str, str] | None
) -> NoticePreferencesView:
    """Replace all wishes: the channels that are off by group, and (begins, ends) as HH:MM or none.

    They hold for what is told from now on; what waits already goes its planned way. Raises NoticesRequired, QuietHoursWrong.
    """
    for group in sorted(REQUIRED):
        off = set(muted.get(group, ()))
        if set(PUSHED) <= off or (off and group in WHOLE):
            raise NoticesRequired(group=group)
    begins, ends = _minutes(quiet_hours)
    async with transaction(ctx) as tx:
        kept = {str(group): sorted(set(channels)) for group, channels in sorted(muted.items()) if channels}
        wishes = await tx.row(PUT, ctx.person_id, kept, begins, ends, ctx.now)
        tx.record("notice_preferences.changed", "person", ctx.person_id, muted=kept, quiet_hours=quiet_hours)
        return tx.reply(view(wishes))


def _minutes(quiet_hours: tuple[str, str] | None) -> tuple[int, int] | tuple[None, None]:
    if quiet_hours is None:
        return None, None
    begins, ends = (int(text[:2]) * 60 + int(text[3:]) for text in quiet_hours)
    if not 0 < (ends - begins) % MINUTES_OF_A_DAY <= QUIET_MINUTES_MAX:
        raise QuietHoursWrong(minutes_max=QUIET_MINUTES_MAX)
    return begins, ends


def view(wishes: Any) -> NoticePreferencesView:
    """`wishes`: a row, or None for somebody who has said nothing."""
    muted: Mapping[str, Sequence[str]] = wishes.muted if wishes is not None else {}
    quiet = QUIET_HOURS if wishes is None else quiet_of(wishes)
    return {
        "groups": [
            {
                "group": group, "title": GROUP_TITLES[group], "is_required": group in REQUIRED,
                "channels": [{"channel": channel, "is_on": channel not in muted.get(group, ())} for channel in PUSHED],
            }
            for group in Group
        ],
        "quiet_hours": quiet and {"begins": _clock(quiet[0]), "ends": _clock(quiet[1])},
    }


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
