"""From a message into a page of the mini-program: links that are made when they are opened and never lead past their end (trap 30)."""

import asyncio
from html import unescape

import pytest

from bot.deep_links import go_url

WECHAT = {"User-Agent": "Mozilla/5.0 MicroMessenger/8.0"}


async def opened(chats, path, headers=None):
    """(status, the address behind the button)."""
    async with chats.world.client.get(f"/go/{path}", headers=headers or WECHAT) as answer:
        text = await answer.text()
        assert "default-src 'none'" in answer.headers.get("Content-Security-Policy", "default-src 'none'")
    return answer.status, unescape(text.partition('href="')[2].partition('"')[0])


async def lands(chats, link):
    async with chats.simulator.post("/control/open-link", json={"url_link": link}) as answer:
        return (await answer.json()).get("target")


async def test_opening_our_address_makes_a_link_into_the_page(chats):
    status, link = await opened(chats, "pages/orders/show?id=7&tab=2")
    assert status == 200
    assert link.startswith("https://wxaurl.cn/")
    assert await lands(chats, link) == "pages/orders/show?id=7&tab=2"
    sent = (await chats.calls("*/generate_urllink"))[-1]["body"]
    assert (sent["expire_type"], sent["expire_interval"]) == (1, 30)


async def test_outside_of_wechat_a_scheme_leads_into_it(chats):
    for agent in ("Mozilla/5.0 DingTalk/7", "Mozilla/5.0 Safari"):
        _, link = await opened(chats, "pages/wallet/index", {"User-Agent": agent})
        assert link.startswith("weixin://dl/business/?t=")
        assert await lands(chats, link) == "pages/wallet/index"
    assert len(await chats.calls("*/generatescheme")) == 1


async def test_a_link_is_shared_until_shortly_before_its_end_and_never_past_it(chats):
    _, first = await opened(chats, "pages/wallet/index")
    chats.advance(days=29, hours=22, minutes=59)
    assert await opened(chats, "pages/wallet/index") == (200, first)
    assert await lands(chats, first) == "pages/wallet/index"
    chats.advance(minutes=1)  # an hour before it ends
    _, second = await opened(chats, "pages/wallet/index")
    assert second != first
    chats.advance(hours=2)
    assert await lands(chats, first) is None
    assert await lands(chats, second) == "pages/wallet/index"


async def test_a_hundred_who_open_one_message_at_once_are_one_call(chats):
    found = await asyncio.gather(*(opened(chats, "pages/wallet/index") for _ in range(100)))
    assert len(set(found)) == 1
    assert len(await chats.calls("*/generate_urllink")) == 1


@pytest.mark.parametrize("path", [
    "pages/unknown/show", "pages/orders/show?id=%22%3E", "pages/orders/show?name=%E5%BC%A0", "pages/orders/show/../../secret",
    "//evil.cn", "https://evil.cn", "pages/orders/show?" + "a" * 1_025,
])
async def test_only_pages_that_there_are_with_queries_that_wechat_takes(chats, path):
    status, _ = await opened(chats, path)
    # What is percent-encoded is legal in a query and stays as it was sent; everything else is not there.
    assert status == (200 if "%" in path and path.startswith("pages/orders/show?") else 404)
    if status == 404:
        assert await chats.calls("*/generate_urllink") == []


async def test_when_wechat_makes_no_link_the_page_says_so(chats):
    await chats.befall("*/generate_urllink", errcode=44993)
    status, link = await opened(chats, "pages/wallet/index")
    assert (status, link) == (503, "")
    assert (await opened(chats, "pages/wallet/index"))[0] == 200


def test_a_message_carries_no_address_that_leads_nowhere():
    ours = "https://quan.example.cn/"
    assert go_url(ours, "/pages/orders/show?id=7") == "https://quan.example.cn/go/pages/orders/show?id=7"
    assert go_url(ours, "pages/wallet/index") == "https://quan.example.cn/go/pages/wallet/index"
    assert go_url(ours, "pages/nowhere/index") is None
    assert go_url(ours, 'pages/orders/show?id="><script>') is None
    assert go_url(ours, "pages/orders/show?name=张") is None
