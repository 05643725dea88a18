"""The e-mail address of a person, proved with a code (D06, D15)."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import accounts, mailboxes
from handlers.context import Context
from miniapp_api.routing import Api, Body, Who

api = Api("mailboxes", "通知邮箱")


class EmailBody(Body):
    email: Annotated[str, Field(min_length=3, max_length=254)]


class EmailCodeBody(Body):
    code: Annotated[str, StringConstraints(pattern="^[0-9]{6}$")]


@api.get("/me/mailbox", title="我的通知邮箱", who=Who.SIGNED_IN)
async def show_mailbox(ctx: Context) -> mailboxes.MailboxView:
    return await mailboxes.show_mailbox(ctx)


@api.post(
    "/me/mailbox/codes", title="向邮箱发送验证码", who=Who.SIGNED_IN,
    refusals=(mailboxes.EmailOff, mailboxes.EmailWrong, accounts.ConsentNeeded, mailboxes.EmailCodeTooOften),
)
async def ask_for_email_code(ctx: Context, body: EmailBody) -> mailboxes.MailboxView:
    return await mailboxes.ask_for_code(ctx, body.email)


@api.put(
    "/me/mailbox", title="用验证码确认邮箱", who=Who.SIGNED_IN, limit="password",
    refusals=(mailboxes.EmailCodeOver, mailboxes.EmailCodeWrong),
)
async def confirm_mailbox(ctx: Context, body: EmailCodeBody) -> mailboxes.MailboxView:
    return await mailboxes.confirm_mailbox(ctx, body.code)


@api.delete("/me/mailbox", title="移除通知邮箱", who=Who.SIGNED_IN)
async def remove_mailbox(ctx: Context) -> mailboxes.MailboxView:
    return await mailboxes.remove_mailbox(ctx)
