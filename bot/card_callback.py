"""In `http` mode of DingTalk: telling it where the taps on our cards go. Without that the buttons of a card do nothing.

Every jobs process says so when it starts. All of them say the same, and an address or a secret that was changed takes effect with a
restart.
"""

import asyncio

import structlog

from bot.dingtalk_api import DingTalkApi
from bot.dingtalk_stream import pause_seconds
from bot.transport import PlatformError
from settings import Settings

log = structlog.get_logger(__name__)

PATH = "/bot/dingtalk/cards"


class CardCallback:
    """`run` registers the address, again and again until DingTalk has taken it, and is then idle until it is told to stop."""

    def __init__(self, settings: Settings, api: DingTalkApi) -> None:
        self._url, self._secret, self._api = settings.public_url.rstrip("/") + PATH, settings.dingtalk_card_secret, api

    async def run(self, stop: asyncio.Event) -> None:
        registering, stopping = asyncio.create_task(self._register()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((registering, stopping), return_when=asyncio.FIRST_COMPLETED)
            if registering.done():
                registering.result()
            await stopping
        finally:
            for task in (registering, stopping):
                task.cancel()
            await asyncio.gather(registering, stopping, return_exceptions=True)

    async def _register(self) -> None:
        failures = 0
        while True:
            try:
                await self._api.register_card_callback(self._url, self._secret.get_secret_value())
            except PlatformError as error:
                failures += 1
                log.warning("card_callback_not_registered", code=error.code, message=error.message, failures=failures)
                await asyncio.sleep(pause_seconds(failures))
            else:
                log.info("card_callback_registered", url=self._url)
                return
