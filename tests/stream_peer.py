"""DingTalk's own SDK as a client of the stand-in's gateway: `python -m tests.stream_peer <appkey> <appsecret>`, with the endpoint in
DINGTALK_OPENAPI_ENDPOINT. Each thing that it hears is a line of JSON. It cannot be stopped from within: its process is ended."""

import json
import sys

import dingtalk_stream
from dingtalk_stream import AckMessage, CallbackHandler, ChatbotMessage, EventHandler


def tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class Messages(dingtalk_stream.ChatbotHandler):
    async def process(self, callback):
        found = ChatbotMessage.from_dict(callback.data)
        tell(text=found.text.content, sender=found.sender_staff_id, group=found.conversation_type)
        return AckMessage.STATUS_OK, "OK"


class Cards(CallbackHandler):
    async def process(self, callback):
        tell(card=callback.data["outTrackId"], content=json.loads(callback.data["content"]))
        return AckMessage.STATUS_OK, "OK"


class Events(EventHandler):
    async def process(self, event):
        tell(event=event.headers.event_type)
        return AckMessage.STATUS_OK, "OK"


client = dingtalk_stream.DingTalkStreamClient(dingtalk_stream.Credential(sys.argv[1], sys.argv[2]))
client.register_callback_handler(ChatbotMessage.TOPIC, Messages())
client.register_callback_handler(CallbackHandler.TOPIC_CARD_CALLBACK, Cards())
client.register_all_event_handler(Events())
client.start_forever()
