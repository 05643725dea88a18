"""Coverage-guided fuzzing of both readers and of all that is made of a push: `python -m tests.fuzz_pushes xml|json|fields|sealed -runs=N`.

A process of its own: libFuzzer takes over the process, and ends it. Anything but the two errors that these modules promise is a
finding, and so is an answer that could not be stored.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bot.pushes", "bot.arrivals", "bot.crypto", "bot.passive"]):
    from bot.arrivals import OutsiderError, of_card, of_dingtalk_event, of_robot, of_wechat
    from bot.crypto import PushCrypto, PushRefusedError, signature_of
    from bot.passive import passive_xml, split_text, without_markup
    from bot.pushes import MalformedPushError, read_json, read_push, word

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import orjson

from models.accounts import Platform

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CRYPTO = PushCrypto("AAAAA", "A" * 43, "wxba5fad812f8e6fb9")
SEEDS = {
    "xml": (
        (b"<xml><ToUserName><![CDATA[g]]></ToUserName><FromUserName><![CDATA[oAb_1-2]]></FromUserName><CreateTime>1348831860</CreateTime>"
         b"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[a]]></Content><MsgId>1234567890123456</MsgId></xml>"),
        (b"<xml><FromUserName>o1</FromUserName><CreateTime>1</CreateTime><MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event>"
         b"<SubscribeMsgPopupEvent><List><TemplateId>t</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List><List/>"
         b"</SubscribeMsgPopupEvent></xml>"),
        b'<?xml version="1.0" encoding="gbk"?><!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
    ),
    "json": (
        b'{"FromUserName":"o1","CreateTime":"1","MsgType":"event","Event":"subscribe_msg_sent_event","List":[{"TemplateId":"t"}]}',
        b'{"msgId":"m","senderStaffId":"u1","text":{"content":"a"},"content":{"richText":[{"text":"b"}]},"createAt":1,"conversationType":"2"}',
        b'{"outTrackId":"t","userId":"u","content":"{\\"cardPrivateData\\":{\\"actionIds\\":[\\"1\\"],\\"params\\":{\\"a\\":1}}}"}',
        b'{"EventType":"user_leave_org","UserId":["u1","u2"]}',
    ),
    "sealed": (b"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", b"\x20" * 32),
}


def read(data: bytes) -> None:
    try:
        fields = read_push(data)
    except MalformedPushError:
        return
    handle(fields)


NAMES = (
    "FromUserName", "MsgType", "Event", "CreateTime", "Content", "Recognition", "MsgId", "EventKey", "Ticket", "MsgID", "List",
    "TemplateId", "SubscribeStatusString",
    "msgId", "senderStaffId", "text", "content", "richText", "createAt", "conversationType", "sessionWebhook",
    "sessionWebhookExpiredTime", "outTrackId", "userId", "cardPrivateData", "actionIds", "params", "action", "EventType", "UserId",
    "SubscribeMsgPopupEvent", "recognition",
)
WORDS = (
    "o1", "u1", "event", "text", "CLICK", "SCAN", "subscribe", "subscribe_msg_popup_event", "0", "1772413200", "user_leave_org", "2", "a",
    '{"cardPrivateData":{"actionIds":["1"],"params":{"action":"a"}}}', "\x00", "😀", "]]>", "<a>", "9" * 20,
)


def build(given: atheris.FuzzedDataProvider) -> None:
    """What the readers could give: names that mean something, with values of every kind, in every place."""
    handle(_object(given, 0))


def _object(given: atheris.FuzzedDataProvider, depth: int) -> dict[str, object]:
    return {NAMES[given.ConsumeIntInRange(0, len(NAMES) - 1)]: _value(given, depth) for _ in range(given.ConsumeIntInRange(0, 8))}


def _value(given: atheris.FuzzedDataProvider, depth: int) -> object:
    kind = given.ConsumeIntInRange(0, 7 if depth < 3 else 5)
    if kind <= 2:
        return WORDS[given.ConsumeIntInRange(0, len(WORDS) - 1)]
    if kind == 6:
        return _object(given, depth + 1)
    if kind == 7:
        return [_value(given, depth + 1) for _ in range(given.ConsumeIntInRange(0, 3))]
    return {3: given.ConsumeUnicodeNoSurrogates(8), 4: given.ConsumeInt(8), 5: (None, True, 1.5)[given.ConsumeIntInRange(0, 2)]}[kind]


def handle(fields: dict[str, object]) -> None:
    for make in (
        lambda: of_wechat(Platform.WECHAT_OA, "a", fields, NOW), lambda: of_robot("a", fields, NOW), lambda: of_card("a", fields, "m", NOW),
        lambda: of_dingtalk_event("a", fields, "m", NOW),
    ):
        try:
            made = make()
        except (MalformedPushError, OutsiderError):
            continue
        for arrived in made if isinstance(made, list) else [made] if made else []:
            stored = orjson.dumps(arrived.payload).decode()
            assert "\\u0000" not in stored
            assert len(arrived.open_id) <= 128
            arrived.key.encode()
    text = word(fields, "Content")
    assert all(len(part.encode()) <= 2048 for part in split_text(text))
    assert ET.fromstring(passive_xml("a", "b", text, 1)).findtext("MsgType") == "text"
    assert "<" not in without_markup(text)


def unseal(data: bytes) -> None:
    """As ciphertext with a right signature, and as what is behind the cipher."""
    text = data.decode("latin-1")
    for run in (lambda: CRYPTO.open(signature_of("AAAAA", "1", "n", text), "1", "n", text), lambda: CRYPTO._read(data or b"\x00")):
        try:
            read_json(run())
        except (PushRefusedError, MalformedPushError):
            continue


def main() -> None:
    mode, *arguments = sys.argv[1:]
    target = {"fields": lambda data: build(atheris.FuzzedDataProvider(data)), "sealed": unseal}.get(mode, read)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS.get(mode, (b"\x01" * 64, bytes(range(256))))):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], "-max_len=1024", "-timeout=5", "-print_final_stats=1", *arguments, corpus], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
