"""Tencent Cloud SMS, action SendSms of 2021-01-11: its signature (TC3-HMAC-SHA256), its templates, its limits per number.

Written from its documentation alone, and on purpose not shared with the client of the product.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from simulator.state import World
from simulator.wechat_messages import SENSITIVE

NUMBERS_MAX = 200
SIGNATURE_SECONDS = 300
AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<day>[\d-]{10})/sms/tc3_request, SignedHeaders=(?P<names>[a-z;-]+),"
    r" Signature=(?P<signature>[0-9a-f]{64})"
)
PLACE = re.compile(r"\{(\d+)\}")


class ApiError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


class Sms:
    """`templates`: id -> text with {1}, {2} ... as it was approved."""

    def __init__(
        self, world: World, secret_id: str, secret_key: str, sdk_app_id: str, sign_name: str, templates: Mapping[str, str],
    ) -> None:
        self._world, self._id, self._key, self._app, self._sign = world, secret_id, secret_key, sdk_app_id, sign_name
        self._templates = templates
        self.forget()

    def forget(self) -> None:
        self._sent: dict[str, list[tuple[float, str]]] = {}  # number -> when and what

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/", self.send)
        return app

    async def send(self, request: web.Request) -> web.Response:
        raw = await request.read()
        try:
            self._check_signature(request, raw)
            body = self._read(request, raw)
            answer: dict[str, Any] = {"SendStatusSet": [self._deliver(str(number), body) for number in body["PhoneNumberSet"]]}
        except ApiError as error:
            answer = {"Error": {"Code": error.code, "Message": error.message}}
        answer["RequestId"] = f"simulated-{self._world.number()}"
        return web.json_response({"Response": answer})

    # --- the call --------------------------------------------------------------------------------------------------------------

    def _check_signature(self, request: web.Request, raw: bytes) -> None:
        found = AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if found is None or not {"content-type", "host"} <= set(found["names"].split(";")):
            raise ApiError("AuthFailure.InvalidAuthorization", "Authorization 格式错误")
        if found["id"] != self._id:
            raise ApiError("AuthFailure.SecretIdNotFound", "密钥不存在")
        stamp = request.headers.get("X-TC-Timestamp", "")
        if not stamp.isdecimal() or abs(int(stamp) - self._world.clock.timestamp()) > SIGNATURE_SECONDS:
            raise ApiError("AuthFailure.SignatureExpire", "签名过期")
        if datetime.fromtimestamp(int(stamp), UTC).date().isoformat() != found["day"]:
            raise ApiError("AuthFailure.SignatureFailure", "日期与时间戳不一致")
        names = found["names"].split(";")
        headers = "".join(f"{name}:{request.headers.get(name, '').strip().lower()}\n" for name in names)
        asked = "\n".join(("POST", "/", "", headers, found["names"], hashlib.sha256(raw).hexdigest()))
        scope = f"{found['day']}/sms/tc3_request"
        text = "\n".join(("TC3-HMAC-SHA256", stamp, scope, hashlib.sha256(asked.encode()).hexdigest()))
        key = ("TC3" + self._key).encode()
        for part in (found["day"], "sms", "tc3_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), found["signature"]):
            raise ApiError("AuthFailure.SignatureFailure", "签名错误")

    def _read(self, request: web.Request, raw: bytes) -> dict[str, Any]:
        if request.headers.get("X-TC-Action") != "SendSms":
            raise ApiError("InvalidAction", "接口不存在")
        if request.headers.get("X-TC-Version") != "2021-01-11":
            raise ApiError("NoSuchVersion", "接口版本不存在")
        if not request.headers.get("X-TC-Region"):
            raise ApiError("MissingParameter", "缺少 Region")
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ApiError("FailedOperation.JsonParseFail", "请求包解析失败")
        missing = [name for name in ("PhoneNumberSet", "SmsSdkAppId", "TemplateId") if not body.get(name)]
        if missing:
            raise ApiError("MissingParameter", missing[0])
        if len(body["PhoneNumberSet"]) > NUMBERS_MAX:
            raise ApiError("LimitExceeded.PhoneNumberCountLimit", "号码超过 200 个")
        if body["SmsSdkAppId"] != self._app:
            raise ApiError("UnauthorizedOperation.SmsSdkAppIdVerifyFail", "SmsSdkAppId 不存在")
        return body

    # --- one number ------------------------------------------------------------------------------------------------------------

    def _deliver(self, number: str, body: Mapping[str, Any]) -> dict[str, Any]:
        given = body.get("TemplateParamSet") or []
        text = self._templates.get(str(body["TemplateId"]), "")
        code = self._fault(number, body, text, given)
        serial = ""
        if code == "Ok":
            serial = f"2640:{self._world.number():024d}"
            said = PLACE.sub(lambda place: str(given[int(place[1]) - 1]), text)
            self._sent.setdefault(number, []).append((self._world.clock.timestamp(), said))
            plain = number.removeprefix("+86")
            phones = [phone for phone in self._world.phones.values() if phone.mobile == plain] or [self._world.outside("sms", plain)]
            for phone in phones[:1]:
                self._world.deliver(phone, "sms", f"【{self._sign}】", [("", said)], "", dict(body))
        message = "send success" if code == "Ok" else code.rpartition(".")[2]
        return {"SerialNo": serial, "PhoneNumber": number, "Fee": int(code == "Ok"), "SessionContext": body.get("SessionContext", ""),
                "Code": code, "Message": message, "IsoCode": "CN"}

    def _fault(self, number: str, body: Mapping[str, Any], text: str, given: Sequence[Any]) -> str:
        if not re.fullmatch(r"(\+?86|0086)?1[3-9]\d{9}", number):
            return "InvalidParameterValue.IncorrectPhoneNumber"
        if body.get("SignName") != self._sign:
            return "FailedOperation.SignatureIncorrectOrUnapproved"
        if not text:
            return "FailedOperation.TemplateIncorrectOrUnapproved"
        if len(given) != len(set(PLACE.findall(text))) or not all(isinstance(each, str) and each for each in given):
            return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
        if any(word in each for word in SENSITIVE for each in given):
            return "FailedOperation.ContainSensitiveWord"
        return self._over_limit(number)

    def _over_limit(self, number: str) -> str:
        now, limits = self._world.clock.timestamp(), self._world.limits
        past = [now - at for at, _ in self._sent.get(number, ())]
        for seconds, most, code in (
            (30, limits.sms_per_number_30_seconds, "LimitExceeded.PhoneNumberThirtySecondLimit"),
            (3_600, limits.sms_per_number_hour, "LimitExceeded.PhoneNumberOneHourLimit"),
            (86_400, limits.sms_per_number_day, "LimitExceeded.PhoneNumberDailyLimit"),
        ):
            if sum(age < seconds for age in past) >= most:
                return code
        return "Ok"
