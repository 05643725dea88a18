"""The page that a mail's link opens: into the mini-program, at the right place, and nowhere else (D15)."""

import pytest


@pytest.mark.parametrize(("page", "path", "query"), [
    ("pages/orders/show?id=7", "pages/orders/show", "id%3D7"),
    ("pages/wallet/index", "pages/wallet/index", ""),
    ("pages/orders/show?id=7&evil=1", "pages/index/index", ""),
    ("https://elsewhere.example/", "pages/index/index", ""),
    ('"><script>alert(1)</script>', "pages/index/index", ""),
    (None, "pages/index/index", ""),
])
async def test_the_link_opens_the_mini_program_at_a_page_of_ours_and_never_anything_else(world, page, path, query):
    async with world.client.get("/open", params={"page": page} if page else {}) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert f'href="weixin://dl/business/?appid={world.settings.wechat_appid}&amp;path={path}&amp;query={query}"' in text
    assert text.count("href=") == 1
    assert "<script" not in text
    assert "elsewhere" not in text
