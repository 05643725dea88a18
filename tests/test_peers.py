"""Others' implementations against ours: WeRoBot's cipher, DingTalk's own stream SDK, and a fuzzer that looks for what none thought of."""

import asyncio
import json
import os
import sys

import pytest
from werobot.crypto import MessageCrypt
from werobot.crypto.exceptions import InvalidSignature

from bot.crypto import PushCrypto, PushRefusedError
from settings import ROOT
from simulator.push_crypto import decrypt, encrypt, sha1_of
from tests.chats import until

KEY, APP = "k" * 43, "wx1234567890"
OURS, THEIRS = PushCrypto("token", KEY, APP), MessageCrypt("token", KEY, APP)
TEXTS = ["", "余额", "<xml>]]></xml>", "x" * 10_000, "😀" * 31, "a" * 11, "a" * 12, "a" * 13]


@pytest.mark.parametrize("text", TEXTS)
def test_what_werobot_seals_we_open(text):
    sealed = THEIRS.prp_crypto.encrypt(text, APP).decode()
    assert OURS.open(sha1_of("token", "1", "n", sealed), "1", "n", sealed).decode() == text


@pytest.mark.parametrize("text", TEXTS)
def test_what_we_seal_werobot_and_the_stand_in_open(text):
    sealed = OURS.seal(text, "1", "n")
    assert THEIRS.decrypt_message("1", "n", sealed.signature, sealed.encrypt).decode() == text
    assert decrypt(KEY, sealed.encrypt) == (text, APP)


def test_both_refuse_the_same_forgeries():
    sealed = encrypt(KEY, APP, "余额")
    with pytest.raises(InvalidSignature):
        THEIRS.decrypt_message("1", "n", "0" * 40, sealed)
    with pytest.raises(PushRefusedError, match="signature"):
        OURS.open("0" * 40, "1", "n", sealed)


async def test_dingtalks_own_sdk_is_a_client_of_the_stand_in(chats):
    environment = {**os.environ, "DINGTALK_OPENAPI_ENDPOINT": chats.settings.dingtalk_api_base_url, "PYTHONUNBUFFERED": "1"}
    secret = chats.settings.dingtalk_appsecret.get_secret_value()
    peer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.stream_peer", chats.settings.dingtalk_appkey, secret, cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        key = await chats.phone("王小明", "dingtalk")
        await until(lambda: chats.calls("*/dingtalk/connect"), 60)
        heard = [await chats.push(key, "待办"), await chats.do(f"chat/{key}/event", EventType="user_leave_org", UserId=["u1"])]
        assert [each["status"] for each in heard] == [200, 200]
        async with asyncio.timeout(30):
            lines = [json.loads(await peer.stdout.readline()) for _ in heard]
    finally:
        peer.kill()
        await peer.wait()
    assert lines == [{"text": "待办", "sender": key, "group": "1"}, {"event": "user_leave_org"}]


RUNS = {"xml": 20_000, "json": 20_000, "fields": 20_000, "sealed": 20_000}


@pytest.mark.parametrize("mode", RUNS)
async def test_no_push_whatever_it_is_breaks_its_reader(mode, tmp_path):
    """Bounded: so many inputs, chosen by the branches that they reach. A finding ends the process with its input on stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fuzz_pushes", mode, f"-runs={RUNS[mode]}", "-seed=1", f"-artifact_prefix={tmp_path}/", cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(300):
        told = (await process.stdout.read()).decode(errors="replace")
    assert await process.wait() == 0, told[-3_000:]
    assert f"stat::number_of_executed_units: {RUNS[mode]}" in told
