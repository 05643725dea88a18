"""What a developer looks at: the phones with what they received, and the clock. One HTML page, nothing from outside."""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from urllib.parse import urlsplit

from aiohttp import web

from simulator.clock import SHANGHAI, Clock
from simulator.state import CODE_SECONDS, Message, Phone, World

SHOWN_PER_PHONE = 20
MOVES = (("+1 小时", 3_600), ("+1 天", 86_400), ("+7 天", 604_800))
KINDS = {
    "subscribe": "订阅消息", "work_notice": "工作通知", "robot": "机器人消息", "service": "客服消息", "oa_template": "服务号模板消息",
    "card": "互动卡片", "said": "本人", "mail": "邮件", "sms": "短信",
}
PLATFORMS = {"wechat": "微信小程序", "wechat_oa": "微信服务号", "dingtalk": "钉钉", "email": "邮箱", "sms": "手机短信"}
STYLE = """
body{margin:0;background:#f2f3f5;color:#1f2329;font:15px/1.6 system-ui,"PingFang SC","Microsoft YaHei",sans-serif}
header{position:sticky;top:0;background:#fff;padding:12px 24px;border-bottom:1px solid #dee0e3}
header{display:flex;flex-wrap:wrap;gap:8px 20px;align-items:center}
h1{font-size:18px;margin:0}time{font-variant-numeric:tabular-nums}form{display:inline-flex;gap:6px;margin:0}
button{border:1px solid #c9cdd4;background:#fff;border-radius:6px;padding:4px 12px;font:inherit;cursor:pointer}
button:hover{border-color:#07c160}a{color:#1456f0;text-decoration:none}nav{display:flex;gap:14px;margin-left:auto}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:20px;padding:24px;align-items:start}
.phone{background:#ededed;border:8px solid #2b2f36;border-radius:24px;overflow:hidden}
.phone>h2{margin:0;padding:10px 14px;background:#fff;font-size:15px;display:flex;justify-content:space-between}
.phone small,.card small,.empty{color:#8f959e}.dingtalk>h2{color:#1677ff}.wechat>h2{color:#07a350}
.phone>p{margin:0;padding:6px 14px;font-size:12px;color:#646a73;word-break:break-all}
.phone>form{padding:0 14px 6px}.phone>form button{font-size:12px;padding:1px 10px}
.list{max-height:560px;overflow:auto;padding:10px}.card{background:#fff;border-radius:10px;padding:10px 14px;margin-bottom:10px}
.card h3{margin:2px 0 6px;font-size:15px}dl{display:grid;grid-template-columns:auto 1fr;gap:2px 10px;margin:0}
dt{color:#8f959e}dd{margin:0;word-break:break-word;white-space:pre-wrap}dd.wide{grid-column:1/-1}.recalled{opacity:.5;text-decoration:line-through}
""".strip()
SCRIPT = "setTimeout(function(){location.reload()},4000)"
SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{SCRIPT_HASH}'; form-action 'self'; base-uri 'none'"
# A page of its own, since this one is loaded anew every few seconds under the hands of whoever copies from it.
COPY = """
document.getElementById('copy').addEventListener('click',function(){
  navigator.clipboard.writeText(document.getElementById('body').textContent).then(()=>{this.textContent='已复制'});
});
""".strip()
COPY_HASH = base64.b64encode(hashlib.sha256(COPY.encode()).digest()).decode()
CODE_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{COPY_HASH}'; form-action 'none'; base-uri 'none'"
CODE_STYLE = """
body{margin:0 auto;max-width:640px;padding:24px;background:#f2f3f5;color:#1f2329}
body{font:16px/1.7 system-ui,"PingFang SC","Microsoft YaHei",sans-serif}h1{font-size:20px}
pre{background:#fff;border:1px solid #dee0e3;border-radius:8px;padding:12px;white-space:pre-wrap;word-break:break-all;user-select:all}
a{color:#1456f0}button{border:1px solid #c9cdd4;background:#fff;border-radius:6px;padding:6px 16px;font:inherit;cursor:pointer}
""".strip()
SIGN_IN = ("wechat", "dingtalk")  # an Official Account and a mailbox have no mini-program to sign in with
LINKS = (("调用记录", "/control/calls"), ("手机列表", "/control/phones"))


def card(message: Message) -> str:
    rows = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" if label else f'<dd class="wide">{escape(value)}</dd>'
        for label, value in message.fields
    )
    mark = ' class="card recalled"' if message.recalled else ' class="card"'
    link = f"<small>点击进入：{escape(message.link)}</small>" if message.link else ""
    at = datetime.fromisoformat(message.at).astimezone(SHANGHAI)
    head = f"<small>{KINDS[message.kind]} · {at:%m月%d日 %H:%M:%S}</small>"
    return f"<article{mark}>{head}<h3>{escape(message.title)}</h3><dl>{rows}</dl>{link}</article>"


def phone_view(phone: Phone) -> str:
    cards = "".join(card(message) for message in reversed(phone.messages[-SHOWN_PER_PHONE:]))
    consents = sum(phone.consents.values())
    sign_in = (
        f'<form method="post" action="/phones/{escape(phone.id)}/login-code"><button>登录凭证</button></form>'
        if phone.platform in SIGN_IN else ""
    )
    left = f" · 剩余订阅授权 {consents} 次" if phone.platform == "wechat" else ""
    return (
        f'<section class="phone {phone.platform}"><h2>{escape(phone.name)}<small>{PLATFORMS[phone.platform]}'
        f"（{len(phone.messages)} 条）</small></h2><p>{escape(phone.id)}{left}</p>{sign_in}"
        f'<div class="list">{cards or "<p class=empty>还没有收到消息</p>"}</div></section>'
    )


def login_code(phone: Phone, code: str, docs: str) -> str:
    """The body of a log-in, to be pasted as it is."""
    body = json.dumps({"platform": phone.platform, "code": code})
    at = f'<a href="{escape(docs)}" rel="noreferrer" target="_blank">接口文档</a>' if docs else "接口文档"
    return (
        '<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>登录凭证</title><style>{CODE_STYLE}</style></head><body><h1>{escape(phone.name)} 的登录凭证</h1>"
        f'<pre id="body">{escape(body)}</pre><p><button type="button" id="copy">复制</button></p>'
        f"<p>只能用一次，{CODE_SECONDS // 60} 分钟内有效。</p><ol><li>在{at}中打开 <code>POST /api/v1/sessions</code>（登录），"
        "以上面的内容为请求体，点 Execute。</li><li>复制应答中的 <code>token</code>。</li>"
        "<li>点页面右上方的 Authorize，粘贴令牌并确认；此后的请求都以此人的身份发出。</li></ol>"
        f'<p><a href="/">返回模拟器</a></p><script>{COPY}</script></body></html>'
    )


def whole(clock: Clock, phones: Iterable[Phone], links: Sequence[tuple[str, str]]) -> str:
    now = clock.now().astimezone(SHANGHAI).strftime("%Y年%m月%d日 %H:%M:%S")
    ahead = f"比真实时间快 {clock.offset_seconds / 3600:.1f} 小时" if clock.offset_seconds else "与真实时间一致"
    buttons = "".join(f'<button name="advance_seconds" value="{seconds}">{label}</button>' for label, seconds in MOVES)
    anchors = "".join(f'<a href="{escape(url)}">{escape(title)}</a>' for title, url in (*links, *LINKS))
    body = "".join(map(phone_view, phones)) or '<p class="empty">还没有手机登录过</p>'
    return (
        '<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>微信与钉钉模拟器</title><style>{STYLE}</style></head><body><header><h1>微信与钉钉模拟器</h1>"
        f'<span>模拟时间 <time>{now}</time>（{ahead}）</span><form method="post" action="/clock">{buttons}</form>'
        f"<nav>{anchors}</nav></header><main>{body}</main><script>{SCRIPT}</script></body></html>"
    )


def only_from_here(request: web.Request) -> None:
    """A form on a strange page could post here too."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="请从本页面操作")


class Page:
    def __init__(self, world: World, links: Sequence[tuple[str, str]]) -> None:
        self._world, self._links = world, links

    async def show(self, request: web.Request) -> web.Response:
        del request
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        text = whole(self._world.clock, self._world.phones.values(), self._links)
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def login_code(self, request: web.Request) -> web.Response:
        """A fresh code for this phone, as its mini-program would get one."""
        only_from_here(request)
        phone = self._world.phones.get(request.match_info["id"])
        if phone is None or phone.platform not in SIGN_IN:
            raise web.HTTPNotFound(text="没有这部手机")
        docs = next((url for _, url in self._links if url.endswith("/docs")), "")
        text = login_code(phone, self._world.mint(phone, "login"), docs)
        headers = {"Content-Security-Policy": CODE_POLICY, "Cache-Control": "no-store"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def move_clock(self, request: web.Request) -> web.Response:
        """The buttons of the page; works without a script."""
        only_from_here(request)
        seconds = (await request.post()).get("advance_seconds")
        if seconds not in {str(value) for _, value in MOVES}:
            raise web.HTTPBadRequest(text="请使用页面上的按钮")
        self._world.clock.advance(float(str(seconds)))
        raise web.HTTPSeeOther("/")
