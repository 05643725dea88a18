"""What somebody is told where, and when not (F23, decision 0131)."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from handlers import notice_preferences
from handlers.context import Context
from handlers.notice_plans import Group
from miniapp_api.routing import Api, Body, Who
from models.notices import Channel

api = Api("notice_preferences", "消息设置")

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
PushedChannel = Literal["wechat_subscribe", "wechat_oa_template", "dingtalk_notice", "email", "sms"]


class MutedBody(Body):
    group: Annotated[Group, Field(strict=False)]
    channels: Annotated[list[PushedChannel], Field(max_length=5, description="不用于接收这类消息的渠道；站内消息始终保留")]


class QuietHoursBody(Body):
    begins: ClockTime
    ends: ClockTime


class PreferencesBody(Body):
    muted: Annotated[list[MutedBody], Field(max_length=len(Group), description="未列出的类别全部接收")]
    quiet_hours: Annotated[QuietHoursBody | None, Field(description="免打扰时段（北京时间）；为空则不设")]


@api.get("/notice-preferences", title="消息设置", who=Who.SIGNED_IN)
async def show_notice_preferences(ctx: Context) -> notice_preferences.NoticePreferencesView:
    return await notice_preferences.show_preferences(ctx)


@api.put(
    "/notice-preferences", title="修改消息设置", who=Who.SIGNED_IN,
    refusals=(notice_preferences.NoticesRequired, notice_preferences.QuietHoursWrong),
)
async def put_notice_preferences(ctx: Context, body: PreferencesBody) -> notice_preferences.NoticePreferencesView:
    """Replaces all of them."""
    quiet = (body.quiet_hours.begins, body.quiet_hours.ends) if body.quiet_hours else None
    muted = {each.group: [Channel(channel) for channel in each.channels] for each in body.muted}
    return await notice_preferences.put_preferences(ctx, muted, quiet)
