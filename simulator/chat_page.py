"""A chat window for the browser: choose a person and a platform, write, tap the menu and the cards, and see what comes back."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from aiohttp import web

from simulator.state import World

STYLE = """
body{margin:0;background:#e9eaec;color:#1f2329;font:16px/1.6 system-ui,"PingFang SC","Microsoft YaHei",sans-serif}
.phone{max-width:480px;margin:0 auto;height:100vh;height:100dvh;display:flex;flex-direction:column;background:#ededed}
header{background:#fff;padding:10px 14px;border-bottom:1px solid #dcdee0}header h1{font-size:16px;margin:0 0 6px}
form{display:flex;gap:8px;margin:0}
select,input,button{font:inherit;border:1px solid #c9cdd4;border-radius:8px;padding:7px 10px;background:#fff}
select,input{min-width:0;flex:1}button{cursor:pointer}
button:focus-visible,input:focus-visible,select:focus-visible{outline:2px solid #1456f0}
#list{flex:1;overflow:auto;padding:14px;margin:0;list-style:none}#list li{margin-bottom:12px;display:flex;flex-direction:column}
.bubble{max-width:82%;padding:9px 13px;border-radius:10px;background:#fff;white-space:pre-wrap;overflow-wrap:anywhere}
.mine{align-items:flex-end}.mine .bubble{background:#95ec69}.card .bubble{border-left:4px solid #1677ff}.card b{display:block}
.settled .bubble{opacity:.65}.actions{display:flex;flex-wrap:wrap;gap:8px;margin-top:8px}small{color:#6b7178}
#hands,#menu{display:flex;flex-wrap:wrap;gap:6px;padding:6px 14px;background:#f7f7f7;border-top:1px solid #dcdee0}
#hands button,#menu button{font-size:14px;padding:4px 9px}#hands span,#menu span{font-size:13px;color:#6b7178;width:100%}
footer{padding:10px 14px;background:#f7f7f7;border-top:1px solid #dcdee0}
#status{min-height:1.6em;padding:0 14px;font-size:13px;color:#b42318}
""".strip()
SCRIPT = """
(function(){
const find=id=>document.getElementById(id),list=find('list'),status=find('status');
let phone='',shown='',timer=0,busy=false;
async function call(path,body){
  const options=body===undefined?{}:{method:'POST',headers:{'Content-Type':'application/json'},body:JSON.stringify(body)};
  const answer=await fetch('/control/'+path,options),found=await answer.json();
  if(!answer.ok)throw new Error(found.title||'操作没有成功');
  return found;
}
async function act(path,body){
  if(!phone||busy)return false;
  let done=false;busy=true;status.textContent='';
  try{
    const found=await call('chat/'+phone+'/'+path,body||{});
    done=true;
    if(found.status!==200)status.textContent='系统没有接收这条消息（'+(found.status||'没有应答')+'），请确认服务正在运行';
  }catch(error){status.textContent=error.message}
  busy=false;await refresh();return done;
}
function add(parent,tag,text,className){
  const made=document.createElement(tag);
  if(text!==undefined)made.textContent=text;
  if(className)made.className=className;
  parent.append(made);return made;
}
function button(parent,title,run){const made=add(parent,'button',title);made.type='button';made.addEventListener('click',run)}
function write(parent,text){
  const anchor=/<a href="(https?:[^"]*)"[^>]*>([^<]*)<\\/a>/g;let from=0,found;
  while((found=anchor.exec(text))){
    parent.append(text.slice(from,found.index));
    const link=add(parent,'a',found[2]);link.href=found[1];link.target='_blank';link.rel='noreferrer';from=anchor.lastIndex;
  }
  parent.append(text.slice(from));
}
function message(one){
  const item=add(list,'li',undefined,one.kind==='said'?'mine':one.kind),bubble=add(item,'div',undefined,'bubble');
  if(one.title)add(bubble,'b',one.title);
  one.fields.forEach(([label,value])=>{const line=add(bubble,'div');if(label)add(line,'small',label+'：');write(line,value)});
  if(one.link){const small=add(bubble,'small','点击进入：'+one.link);small.className='link'}
  if(one.kind==='card'){
    if(one.raw.state==='settled')item.classList.add('settled');
    const actions=add(item,'div',undefined,'actions');
    one.raw.buttons.forEach(each=>button(actions,each.title,()=>{
      const reason=/驳回|退回|拒绝|未完成/.test(each.title)?prompt('请填写原因')||'':'';
      act('tap-card',{track_id:one.raw.track_id,action:each.action,params:reason?{reason:reason}:{}});
    }));
  }
}
function hands(found){
  const place=find('hands');place.replaceChildren();
  if(found.platform==='wechat_oa'){
    if(found.is_following)button(place,'取消关注',()=>act('unfollow'));
    else{add(place,'span','还没有关注服务号，关注后才能对话：');button(place,'关注服务号',()=>act('follow'))}
  }
  button(place,'在小程序中绑定',()=>act('bind'));
  const menu=find('menu');menu.replaceChildren();menu.hidden=!found.menu.length;
  found.menu.forEach(column=>{add(menu,'span',column.name);column.sub_button.forEach(each=>button(menu,each.name,()=>act('tap-menu',{key:each.key})))});
}
async function refresh(){
  if(!phone)return;
  clearTimeout(timer);
  try{
    const found=await call('chat/'+phone),text=JSON.stringify(found);
    if(text!==shown){
      shown=text;list.replaceChildren();found.messages.forEach(message);hands(found);list.scrollTop=list.scrollHeight;
    }
  }catch(error){status.textContent=error.message}
  timer=setTimeout(refresh,500);
}
find('who').addEventListener('submit',async event=>{
  event.preventDefault();status.textContent='';
  try{
    const found=await call('phones',{name:find('name').value,platform:find('platform').value});
    phone=found.id;shown='';find('text').disabled=find('send').disabled=false;await refresh();find('text').focus();
  }catch(error){status.textContent=error.message}
});
find('say').addEventListener('submit',async event=>{
  event.preventDefault();
  const field=find('text'),text=field.value.trim();
  if(!text)return;
  field.value='';
  if(!await act('say',{text:text})&&!field.value)field.value=text;
});
})();
""".strip()
SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{SCRIPT_HASH}'; connect-src 'self'; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'none'"
)
PLATFORMS = (("wechat_oa", "微信服务号"), ("dingtalk", "钉钉机器人"), ("wechat", "小程序客服"))


def whole(people: Iterable[str]) -> str:
    platforms = "".join(f'<option value="{key}">{title}</option>' for key, title in PLATFORMS)
    names = "".join(f'<option value="{escape(name)}">' for name in people)
    return (
        '<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>对话</title><style>{STYLE}</style></head><body><main class="phone"><header><h1>与企服券对话</h1>'
        '<form id="who"><select id="platform" aria-label="平台">' + platforms + '</select>'
        '<input id="name" aria-label="人员" list="people" placeholder="姓名" required maxlength="40" autocomplete="off">'
        f'<datalist id="people">{names}</datalist><button>进入</button></form></header>'
        '<ol id="list" aria-live="polite" aria-label="消息"></ol><div id="status" role="alert"></div>'
        '<div id="hands"></div><nav id="menu" aria-label="菜单" hidden></nav>'
        '<footer><form id="say"><input id="text" aria-label="消息内容" placeholder="先选择人员，再输入" maxlength="2000"'
        ' autocomplete="off" disabled>'
        f'<button id="send" disabled>发送</button></form></footer></main><script>{SCRIPT}</script></body></html>'
    )


class ChatPage:
    def __init__(self, world: World, people: Iterable[str]) -> None:
        self._world, self._people = world, tuple(people)

    async def show(self, request: web.Request) -> web.Response:
        del request
        known = dict.fromkeys((*self._people, *(phone.name for phone in self._world.phones.values())))
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return web.Response(text=whole(known), content_type="text/html", headers=headers)
