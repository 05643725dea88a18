"""支付密码维护 (E20)."""

from typing import Annotated

from pydantic import StringConstraints

from handlers import payment_passwords
from handlers.accounts.people import LoginCodeRefused, PlatformUnavailable
from handlers.context import Context
from handlers.payment_passwords import (
    PaymentPasswordBusy,
    PaymentPasswordCoolingDown,
    PaymentPasswordExists,
    PaymentPasswordLocked,
    PaymentPasswordMissing,
    PaymentPasswordView,
    PaymentPasswordWeak,
    PhoneJustChanged,
    PhoneNotYours,
    WrongPaymentPassword,
)
from miniapp_api.routing import Api, Body, Who

api = Api("payment_passwords", "支付密码")
Password = Annotated[str, StringConstraints(pattern="^[0-9]{6}$")]
VERIFY_REFUSALS = (
    PaymentPasswordMissing, PaymentPasswordLocked, PaymentPasswordCoolingDown, PaymentPasswordBusy, WrongPaymentPassword,
)


class SetPasswordBody(Body):
    password: Password


class ChangePasswordBody(Body):
    old: Password
    new: Password


class ResetPasswordBody(Body):
    phone_code: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    new: Password


@api.get("/payment-password", title="支付密码状态", who=Who.ENTERPRISE_PAYER)
async def get_payment_password(ctx: Context) -> PaymentPasswordView:
    return await payment_passwords.payment_password_of(ctx)


@api.post("/payment-password", title="设置支付密码", who=Who.ENTERPRISE_PAYER, limit="password",
          refusals=(PaymentPasswordExists, PaymentPasswordWeak))
async def set_payment_password(ctx: Context, body: SetPasswordBody) -> PaymentPasswordView:
    return await payment_passwords.set_payment_password(ctx, body.password)


@api.put("/payment-password", title="修改支付密码", who=Who.ENTERPRISE_PAYER, limit="password",
         refusals=(*VERIFY_REFUSALS, PaymentPasswordWeak))
async def change_payment_password(ctx: Context, body: ChangePasswordBody) -> PaymentPasswordView:
    return await payment_passwords.change_payment_password(ctx, body.old, body.new)


@api.put("/payment-password/reset", title="重置支付密码", who=Who.ENTERPRISE_PAYER, limit="password",
         refusals=(LoginCodeRefused, PlatformUnavailable, PhoneNotYours, PhoneJustChanged, PaymentPasswordWeak))
async def reset_payment_password(ctx: Context, body: ResetPasswordBody) -> PaymentPasswordView:
    return await payment_passwords.reset_payment_password(ctx, body.phone_code, body.new)
