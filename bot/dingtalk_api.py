"""DingTalk's newer interfaces (api.dingtalk.com): the robot's messages and interactive cards.

Unlike the old host it says no with a real status and {"code","message"}; its token is called accessToken and expireIn, and goes
into a header.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis import asyncio as aioredis

from bot.dingtalk import understood
from bot.tokens import Grant, TokenStore, read_grant
from bot.transport import PlatformError, Transport, scrub, secrets_in, to_json

TOKEN_HEADER = "x-acs-dingtalk-access-token"  # noqa: S105 - the header's name
TOKEN_REFUSED = frozenset({"InvalidAuthentication", "Forbidden.AccessDenied.AccessTokenInvalid"})
BUSY = ("QpsLimit", "send.too.fast", "system.error", "ServiceUnavailable", "Throttling")
USERS_MAX = 20
FILE_ADDRESS = re.compile(r"https://[a-z0-9.-]{1,200}\.(?:aliyuncs|dingtalk)\.com/", re.IGNORECASE)
SESSION_BUSY = frozenset({-1, 130101})  # busy; more than twenty a minute into one group
CARD_ROUTE = "qifuquan"  # the callbackRouteKey: a card names it, and taps go where it was registered to
SESSION_URL = "https://oapi.dingtalk.com/robot/sendBySession?session="


def is_session(webhook: str) -> bool:
    """The address came with a message: nothing but DingTalk's own is ever called."""
    return re.fullmatch(re.escape(SESSION_URL) + "[A-Za-z0-9_=.-]{1,512}", webhook) is not None


class DingTalkApi:
    """Every method raises PlatformError."""

    def __init__(
        self, transport: Transport, base_url: str, oapi_base_url: str, appkey: str, appsecret: str, redis: aioredis.Redis | None,
    ) -> None:
        self._transport, self._base_url, self._oapi = transport, base_url.rstrip("/"), oapi_base_url.rstrip("/")
        self.appkey, self._appsecret = appkey, appsecret
        self.tokens = TokenStore(f"dingtalk-api:{appkey}", self._get_token, redis)

    async def _get_token(self) -> Grant:
        body = {"appKey": self.appkey, "appSecret": self._appsecret}
        answer = await self._once("POST", "/v1.0/oauth2/accessToken", body, {})
        return read_grant({"access_token": answer.get("accessToken"), "expires_in": answer.get("expireIn")})

    async def call(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        token = await self.tokens.get()
        try:
            return await self._once(method, path, body, {TOKEN_HEADER: token})
        except PlatformError as error:
            if error.code not in TOKEN_REFUSED:
                raise
        await self.tokens.refused(token)
        return await self._once(method, path, body, {TOKEN_HEADER: await self.tokens.get()})

    async def _once(self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        answer = await self._transport.call(method, self._base_url + path, body=body, headers=headers)
        if not isinstance(answer.body, dict):
            raise PlatformError("malformed", "not an object", retryable=True)
        if answer.status >= 400:
            code = str(answer.body.get("code", f"http_{answer.status}"))[:80]
            hidden = secrets_in(body) | frozenset(headers.values())
            busy = answer.status == 429 or any(word in code for word in BUSY)
            raise PlatformError(code, scrub(str(answer.body.get("message", "")), hidden), retryable=busy or code in TOKEN_REFUSED)
        return answer.body

    async def open_stream(self, subscriptions: Sequence[Mapping[str, str]]) -> tuple[str, str]:
        """(endpoint, ticket) of a websocket; the ticket works once and soon."""
        body = {
            "clientId": self.appkey, "clientSecret": self._appsecret, "subscriptions": list(subscriptions), "ua": "qifuquan/1",
            "localIp": "127.0.0.1",
        }
        answer = await self._once("POST", "/v1.0/gateway/connections/open", body, {})
        endpoint, ticket = answer.get("endpoint"), answer.get("ticket")
        if not isinstance(endpoint, str) or not isinstance(ticket, str) or not endpoint.startswith(self._stream_schemes):
            raise PlatformError("malformed", "no endpoint in the answer", retryable=True)
        return endpoint, ticket

    @property
    def _stream_schemes(self) -> tuple[str, ...]:
        """Unencrypted only to a stand-in that is spoken to unencrypted as well."""
        return ("wss://",) if self._base_url.startswith("https://") else ("wss://", "ws://")

    async def send_text(self, robot_code: str, user_id: str, text: str) -> None:
        """To one person, in the chat of the two. 200 may still be a failure: the lists in the answer tell."""
        body = {
            "robotCode": robot_code or self.appkey, "userIds": [user_id], "msgKey": "sampleText",
            "msgParam": to_json({"content": text}).decode(),  # JSON within JSON: an object is refused
        }
        answer = await self.call("POST", "/v1.0/robot/oToMessages/batchSend", body)
        if user_id in (answer.get("flowControlledStaffIdList") or ()):
            raise PlatformError("flow_controlled", "this person gets too many messages now", retryable=True)
        if user_id in (answer.get("invalidStaffIdList") or ()):
            raise PlatformError("invalid_staff", "not a userid", retryable=False)
        if "processQueryKey" not in answer:
            raise PlatformError("malformed", "no processQueryKey in the answer", retryable=True)

    async def send_to_session(self, webhook: str, text: str) -> None:
        """Into the group that a message came from."""
        if not is_session(webhook):
            raise PlatformError("foreign_webhook", "not an address of DingTalk", retryable=False)
        url = self._oapi + webhook.removeprefix("https://oapi.dingtalk.com")
        answer = await self._transport.call("POST", url, body={"msgtype": "text", "text": {"content": text}})
        understood(answer, SESSION_BUSY, frozenset({webhook.removeprefix(SESSION_URL)}))

    @asynccontextmanager
    async def file(self, robot_code: str, download_code: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a file or picture that somebody sent to the robot. Its address is signed, and gets no token of ours."""
        body = {"robotCode": robot_code or self.appkey, "downloadCode": download_code}
        url = (await self.call("POST", "/v1.0/robot/messageFiles/download", body)).get("downloadUrl")
        if not isinstance(url, str) or not self._is_file_address(url):
            raise PlatformError("malformed", "no address of a file in the answer", retryable=False)
        async with self._transport.download(url) as found:
            if not found.is_file:
                if not found.is_gone:
                    await found.refusal()  # raises what may work later
                raise PlatformError("file_gone", "the address of the file gives none", retryable=False)
            yield found.chunks()

    def _is_file_address(self, url: str) -> bool:
        """DingTalk's storage; unencrypted only from a stand-in that is spoken to unencrypted as well."""
        return FILE_ADDRESS.match(url) is not None or (
            self._base_url.startswith("http://") and url.startswith(f"{self._base_url}/")
        )

    async def _card(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """200 may still be a failure here as well: the answer tells it of the whole, and of each place where the card should be."""
        answer = await self.call(method, path, body)
        if "success" not in answer:
            raise PlatformError("malformed", "no success in the answer", retryable=True)
        result = answer.get("result")
        places = result.get("deliverResults") if isinstance(result, dict) else result
        for each in (answer, *(places if isinstance(places, list) else ())):
            if isinstance(each, dict) and each.get("success") is not True:
                raise PlatformError("card_not_delivered", scrub(str(each.get("errorMsg", ""))), retryable=True)

    async def deliver_card(self, track_id: str, template_id: str, user_id: str, data: Mapping[str, str], *, via_stream: bool) -> None:
        """Make a card and put it into the chat of the two."""
        await self._card("POST", "/v1.0/card/instances/createAndDeliver", {
            "cardTemplateId": template_id, "outTrackId": track_id, "callbackType": "STREAM" if via_stream else "HTTP",
            **({} if via_stream else {"callbackRouteKey": CARD_ROUTE}),
            "cardData": {"cardParamMap": dict(data)}, "openSpaceId": f"dtv1.card//im_robot.{user_id}",
            "imRobotOpenSpaceModel": {"supportForward": False}, "imRobotOpenDeliverModel": {"spaceType": "IM_ROBOT"}, "userIdType": 1,
        })

    async def redeliver_card(self, track_id: str, user_id: str) -> None:
        """Put a card that there is into the chat once more, where people look: at the end."""
        await self._card("POST", "/v1.0/card/instances/deliver", {
            "outTrackId": track_id, "openSpaceId": f"dtv1.card//im_robot.{user_id}",
            "imRobotOpenDeliverModel": {"spaceType": "IM_ROBOT"}, "userIdType": 1,
        })

    async def update_card(self, track_id: str, data: Mapping[str, str]) -> None:
        await self._card("PUT", "/v1.0/card/instances", {
            "outTrackId": track_id, "cardData": {"cardParamMap": dict(data)}, "cardUpdateOptions": {"updateCardDataByKey": True},
        })

    async def register_card_callback(self, url: str, secret: str) -> None:
        """Where taps go when they do not come by stream, and what they are signed with."""
        await self._card("POST", "/v1.0/card/callbacks/register", {
            "callbackRouteKey": CARD_ROUTE, "callbackUrl": url, "apiSecret": secret, "forceUpdate": True,
        })
