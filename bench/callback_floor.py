"""The least that a callback can be: a bare aiohttp handler that verifies and decrypts, with wechatpy as its manual shows it."""

import asyncio
import os

import uvloop
from aiohttp import web
from wechatpy.crypto import WeChatCrypto

from bench.pushes import AES_KEY, APP_ID, TOKEN

CRYPTO = WeChatCrypto(TOKEN, AES_KEY, APP_ID)


async def callback(request: web.Request) -> web.Response:
    query = request.query
    CRYPTO.decrypt_message(await request.read(), query["msg_signature"], query["timestamp"], query["nonce"])
    return web.Response(text="success")


async def main() -> None:
    app = web.Application()
    app.router.add_post("/bot/wechat/oa", callback)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    print(os.environ["PORT"], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
