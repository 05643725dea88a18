"""GET /open: where the link in a mail leads. A page that opens the mini-program at the right place, or says how (D15).

It shows nothing of anybody and asks nobody: who may see what stands there is decided after signing in.
"""

import re
from html import escape
from urllib.parse import quote

from aiohttp import web

from miniapp_api.edge import EDGE

PAGE = re.compile(r"(pages/[a-z_]+/[a-z_]+)(?:\?([a-z_]+=[0-9]{1,19}))?")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HTML = """\
<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>打开企服券</title>
<style>
body{{margin:0;background:#f4f5f7;color:#1f2329;font:17px/1.7 system-ui,"PingFang SC","Microsoft YaHei",sans-serif}}
main{{max-width:28rem;margin:0 auto;padding:2rem 1.25rem}}h1{{font-size:1.4rem}}
a{{display:block;margin:1.5rem 0;padding:.8rem;border-radius:.5rem;background:#07893f;color:#fff;text-align:center;text-decoration:none}}
a:focus-visible{{outline:3px solid #1f2329;outline-offset:2px}}
</style></head>
<body><main><h1>请在小程序中查看</h1>
<p>这条通知的详情在「企服券」小程序中，登录后即可查看和办理。</p>
<a href="{link}">在微信中打开企服券</a>
<p>在电脑上，或按钮没有反应时：打开手机微信，搜索小程序「企服券」，在「消息」中查看。使用钉钉的，请在工作台打开「企服券」。</p>
</main></body></html>
"""


def add_to(app: web.Application) -> None:
    app.router.add_get("/open", show, name="open")


async def show(request: web.Request) -> web.Response:
    """?page=pages/orders/show?id=7; anything that is no page of ours opens the first one."""
    found = PAGE.fullmatch(request.query.get("page", ""))
    path, query = (found[1], found[2] or "") if found else ("pages/index/index", "")
    settings = request.app[EDGE].settings
    # The plain URL scheme of WeChat, for pages that are declared in the mini-program's console: needs no call for each mail.
    link = f"weixin://dl/business/?appid={quote(settings.wechat_appid)}&path={path}&query={quote(query, safe='')}"
    return web.Response(
        text=HTML.format(link=escape(link)), content_type="text/html",
        headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )
