"""What people type can be seen, and reads in the order in which it is stored: everywhere, or one place shows what the others refuse."""

import unicodedata
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from handlers.application_kinds import KINDS
from handlers.consultants.profiles import ProfileForm
from handlers.texts import is_line, is_text
from miniapp_api.apis import APIS
from miniapp_api.routing import Body
from tests.shop import Shop, open_shop
from tests.world import World

REVERSED, NOTHING = "\u202e司公限有国中", "\u200b\u200b"
# Never shown as they came: compared with what we know or made ourselves, read by the use-case as what it is, or handed to a platform.
COMPARED = {
    "credit_code", "enterprise_code", "category", "specialities", "agreement_version", "version", "code", "device_id", "phone_code",
    "field", "template", "answer", "nonce", "email",
}


def typed(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """(model.field, annotation) of everything below that is no model itself."""
    for name, info in model.model_fields.items():
        inner = list(models_in(info.annotation))
        for each in inner:
            yield from typed(each)
        if not inner:
            yield f"{model.__name__}.{name}", info.rebuild_annotation()


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def takes(annotation: Any, text: str) -> bool:
    """Alone, or in a list: strictly, as bodies are read."""
    adapter = TypeAdapter[Any](annotation, config=ConfigDict(strict=True))
    for value in (text, [text], (text,)):
        try:
            adapter.validate_python(value)
        except ValidationError:
            continue
        return True
    return False


BODIES = [operation.body._type for api in APIS for operation in api.operations if operation.body]
FORMS = [rules.form for rules in KINDS.values()] + [ProfileForm]


@pytest.mark.parametrize("text", [REVERSED, NOTHING, "甲\u2066乙\u2069"])
def test_no_field_that_people_fill_in_takes_what_cannot_be_read(text):
    fields = dict(pair for model in (*BODIES, *FORMS) for pair in typed(model))
    assert len(fields) > 150
    taken = {name for name, annotation in fields.items() if takes(annotation, text)}
    assert sorted(name for name in taken if name.partition(".")[2] not in COMPARED) == []
    assert {name.partition(".")[2] for name in fields} >= COMPARED


def test_a_field_without_the_rule_is_found():
    class Careless(Body):
        name: str
        words: list[str]

    assert [name for name, annotation in typed(Careless) if takes(annotation, REVERSED)] == ["Careless.name", "Careless.words"]


@pytest.mark.parametrize("text", [
    "济南示例制造有限公司", "A-1", "%", "/", "👍", "\U00020000\U000e0100", "e\u0301", "Café · 咖啡",
])
def test_what_can_be_seen_is_a_name(text):
    assert is_line(text) and is_text(text)


@pytest.mark.parametrize("text", [
    "", " ", "\u3000", NOTHING, "\u3164", "\u2800\u2800", "\u115f\u1160", "\ufeff", "\u0301", "\ufe0f",
])
def test_what_shows_nothing_is_neither_a_name_nor_a_text(text):
    assert not is_line(text) and not is_text(text)


@pytest.mark.parametrize("hidden", [
    "\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\u2028", "\u00ad", "\ufeff", "\ue000", "\x85", "\U000e0041", "\n", "\t",
])
def test_a_name_has_nothing_hidden_in_it(hidden):
    assert not is_line(f"甲{hidden}乙")


def test_a_text_keeps_its_lines_its_joined_emoji_and_what_was_pasted_along_with_it():
    assert is_text("第一行\r\n\t第二行 👨\u200d👩\u200d👧 \u200b\u200e\u00ad甲")
    assert [unicodedata.name(each) for each in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" if is_text(f"甲{each}乙")] == []
    assert not is_text("甲\x1b乙")


# --- through HTTP, as it was found ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


@pytest.mark.parametrize("name", [REVERSED, NOTHING])
async def test_an_organisation_and_a_product_have_a_name_that_can_be_read(world, shop, name):
    tables = ("organisations", "products", "audit_entries")
    before = await world.snapshot(*tables)
    made = {"kind": "enterprise", "name": name, "credit_code": "91370103MA1234567", "region_code": "370103"}
    product = {"name": name, "category": "audit"}
    for path, body, by in (("/organisations", made, shop.buyer), ("/institution/products", product, shop.seller)):
        status, answer = await world.post(path, body, by=by)
        assert (status, answer["code"]) == (422, "invalid_input"), answer
        [field] = answer["data"]["fields"]
        assert (field["path"], field["message"]) == ("body.name", "不能含有看不见的字符，并须有可见的文字")
    assert await world.snapshot(*tables) == before


async def test_work_is_sent_back_with_a_reason_that_can_be_read(shop):
    order_id = await shop.delivered()
    before = await shop.unchanged()
    status, body = await shop.act(shop.buyer, order_id, "rework", {"reason": "\u200b"})
    assert (status, body["data"]["fields"][0]["code"]) == (422, "text_hidden")
    assert await shop.unchanged() == before
    assert (await shop.act(shop.buyer, order_id, "rework", {"reason": "缺少附表：\n\u200b第二章"}))[0] == 200


async def test_a_form_says_which_of_its_fields_cannot_be_read(world):
    me = await world.enterprise()
    status, body = await world.put("/certification", {"form": {"enterprise_name": REVERSED, "address": "\u200b"}}, by=me)
    assert (status, body["code"]) == (422, "form_incomplete")
    assert {each["field"]: each["problem"] for each in body["data"]["items"]} == dict.fromkeys(
        ("enterprise_name", "address"), "不能含有看不见的字符，并须有可见的文字")
