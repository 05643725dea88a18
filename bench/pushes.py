"""Pushes as WeChat would send them in secure mode, each of another message."""

import time
from urllib.parse import urlencode

from settings import DEVELOPMENT_AES_KEY, DEVELOPMENT_SECRET, Settings
from simulator.push_crypto import encrypt, sha1_of

TOKEN, AES_KEY = DEVELOPMENT_SECRET, DEVELOPMENT_AES_KEY
APP_ID = str(Settings.model_fields["wechat_oa_appid"].default)
MESSAGE = (
    "<xml><ToUserName><![CDATA[gh_bench]]></ToUserName><FromUserName><![CDATA[o{who:027d}]]></FromUserName><CreateTime>{now}</CreateTime>"
    "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[我还有多少券]]></Content><MsgId>{number}</MsgId></xml>"
)


def target_and_body(number: int) -> tuple[str, str]:
    """(path with its query, body) of push `number`; one number is one message."""
    now, nonce = str(int(time.time())), str(number)
    sealed = encrypt(AES_KEY, APP_ID, MESSAGE.format(who=number % 5_000, now=now, number=number))
    query = {
        "signature": sha1_of(TOKEN, now, nonce), "timestamp": now, "nonce": nonce, "encrypt_type": "aes",
        "msg_signature": sha1_of(TOKEN, now, nonce, sealed),
    }
    body = f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
    return f"/bot/wechat/oa?{urlencode(query)}", body
