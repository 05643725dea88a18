"""Answers that go back in the answer itself, and how text is made safe and short for a chat."""

import re

from bot.crypto import Sealed

TEXT_BYTES_MAX = 2_048  # of a text message, in UTF-8: 682 汉字
# The message may or may not be in the table by now: both halves are true.
BUSY_TEXT = "系统繁忙，正在处理您的消息。如果一分钟内没有收到回复，请重新发送。"
OUTSIDER_TEXT = "本机器人仅为本组织成员提供服务。"
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def cdata(text: str) -> str:
    """Text that stays text: what would end the section is cut in two, what XML cannot hold is left out."""
    return "<![CDATA[" + NOT_IN_XML.sub("", text).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def passive_xml(to: str, sender: str, text: str, created: int) -> str:
    short = split_text(text)[0]
    return (
        f"<xml><ToUserName>{cdata(to)}</ToUserName><FromUserName>{cdata(sender)}</FromUserName>"
        f"<CreateTime>{created}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content>{cdata(short)}</Content></xml>"
    )


def sealed_xml(sealed: Sealed) -> str:
    return (
        f"<xml><Encrypt>{cdata(sealed.encrypt)}</Encrypt><MsgSignature>{cdata(sealed.signature)}</MsgSignature>"
        f"<TimeStamp>{sealed.timestamp}</TimeStamp><Nonce>{cdata(sealed.nonce)}</Nonce></xml>"
    )


def without_markup(text: str) -> str:
    """WeChat makes links of <a href>: in a company's name that somebody typed it stays what it is."""
    return NOT_IN_XML.sub("", text).replace("<", "＜").replace(">", "＞")


def split_text(text: str, bytes_max: int = TEXT_BYTES_MAX) -> list[str]:
    """Parts of at most so many bytes, cut between characters, at the end of a line where there is one in the last half."""
    parts, rest = [], NOT_IN_XML.sub("", text)  # also halves of characters, which have no bytes
    while len(rest.encode()) > bytes_max:
        room = rest.encode()[:bytes_max].decode(errors="ignore")
        line = room.rfind("\n")
        cut = line + 1 if line >= len(room) // 2 else len(room)
        parts.append(rest[:cut].rstrip("\n"))
        rest = rest[cut:]
    return [*parts, rest]
