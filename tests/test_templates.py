"""Message templates and the values in them, against a table of WeChat's rules that is written here a second time."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import templates, values
from bot.dingtalk_gateway import notice
from bot.links import PAGES
from bot.templates import TEMPLATES, Keyword, Template, fill, lint, simulator_templates
from bot.transport import to_json
from handlers import notice_texts
from handlers.ports import Message
from simulator.fields import fault

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff〇"
DATE = r"[0-9]{4}年([1-9]|1[0-2])月([1-9]|[12][0-9]|3[01])日"
TIME = rf"({DATE} )?([01][0-9]|2[0-3]):[0-5][0-9]"


def one_line(value: str) -> bool:
    return bool(value.strip()) and not any(unicodedata.category(each) in {"Cc", "Cs", "Cf", "Zl", "Zp"} for each in value)


def utf16(value: str) -> int:
    return len(value.encode("utf-16-le")) // 2


LEGAL: dict[str, Callable[[str], object]] = {
    "thing": lambda value: utf16(value) <= 20,
    "character_string": lambda value: re.fullmatch(r"[ -~]{1,32}", value),
    "phrase": lambda value: re.fullmatch(f"[{CHINESE}]{{1,5}}", value),
    "name": lambda value: not re.search(r"[0-9]", value) and utf16(value) <= (10 if re.search(f"[{CHINESE}]", value) else 20),
    "amount": lambda value: re.fullmatch(r"[0-9]+(\.[0-9]{2})?元", value) and sum(each.isdigit() for each in value) <= 10,
    "number": lambda value: re.fullmatch(r"[0-9]{1,29}(\.[0-9]{1,2})?", value),
    "time": lambda value: re.fullmatch(rf"{TIME}(~{TIME})?", value),
    "date": lambda value: re.fullmatch(rf"{DATE}(~{DATE})?", value),
}
# Shapes that random text seldom has: families of emoji, flags, keycaps, tall piles of marks, halves of characters.
AWKWARD = st.sampled_from([
    "👨‍👩‍👧‍👦", "🇨🇳", "1️⃣", "❤️", "é", "a" + "\u0301" * 40, "\u0301\u0302", "\ud83d", "𠮷", "각", "\u200d", "\u2028", "\x00", "\n",
    "\u3000", "…", "～", "~", "￥", "-", "。", "㎡", "葛󠄀", "2026-03-02", "T", "+08:00", "审核通过", "9" * 12, ".", "％",
])
TEXTS = st.one_of(st.text(), st.lists(st.one_of(AWKWARD, st.text(max_size=4)), max_size=25).map("".join))


def test_the_table_in_this_file_knows_every_type():
    assert LEGAL.keys() == values.FORMATTERS.keys()


@pytest.mark.parametrize("of_type", sorted(LEGAL))
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_whatever_the_text_the_value_is_legal_and_never_empty(of_type, text):
    value = values.FORMATTERS[of_type](text)
    assert one_line(value)
    assert LEGAL[of_type](value), value
    assert fault(of_type, value) == ""


@pytest.mark.parametrize("of_type", sorted(LEGAL))
@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_a_value_that_was_made_to_fit_is_not_changed_again(of_type, text):
    once = values.FORMATTERS[of_type](text)
    if of_type not in {"time", "date"}:  # these take ISO 8601 and give 年月日
        assert values.FORMATTERS[of_type](once) == once


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, limit=st.integers(1, 30))
def test_trimming_never_cuts_a_character_in_two(text, limit):
    line = values.plain(text)
    short = values.trimmed(line, limit)
    assert line.startswith(short)
    assert utf16(short) <= limit
    rest = line[len(short):]
    assert not rest or unicodedata.category(rest[0])[0] != "M" or not short


@pytest.mark.parametrize(("of_type", "text", "value"), [
    ("thing", "", "无"),
    ("thing", " \n\t ", "无"),
    ("thing", "👍👨‍👩‍👧‍👦", "无"),
    ("thing", "第一行\n第二行", "第一行 第二行"),
    ("thing", "二十个字的事项名称正好放得下不多也不少啊", "二十个字的事项名称正好放得下不多也不少啊"),
    ("thing", "二十一个字的事项名称就放不下了要省略最后一些", "二十一个字的事项名称就放不下了要省略最…"),
    ("thing", "𠮷" * 11, "𠮷" * 9 + "…"),
    ("phrase", "审核通过", "审核通过"),
    ("phrase", "审核通过！", "审核通过"),
    ("phrase", "", "无"),
    ("phrase", "OK", "无"),
    ("character_string", "QF2026030200000000000001", "QF2026030200000000000001"),
    ("character_string", "订单ＡＢ１２", "AB12"),
    ("character_string", "订单", "-"),
    ("character_string", "x" * 33, "x" * 32),
    ("name", "欧阳娜娜", "欧阳娜娜"),
    ("name", "一二三四五六七八九十一", "一二三四五六七八九十"),
    ("name", "Alexander Hamilton the Second", "Alexander Hamilton t"),
    ("name", "123", "无"),
    ("amount", "5000.00", "5000.00元"),
    ("amount", "￥1,234.5元", "1234.50元"),
    ("amount", "12345678901", "9999999999元"),
    ("amount", "123456789.99", "123456789元"),
    ("amount", "99999999.99", "99999999.99元"),
    ("amount", "-3", "0.00元"),
    ("amount", "-0", "0.00元"),
    ("amount", "", "0.00元"),
    ("time", "2026-03-02T09:05:00+08:00", "2026年3月2日 09:05"),
    ("time", "2026-03-02T01:00:00Z~2026-03-02T02:30:00Z", "2026年3月2日 09:00~2026年3月2日 10:30"),
    ("time", "明天", "00:00"),
    ("date", "2026-12-31", "2026年12月31日"),
    ("date", "0001-01-01T00:00:00+14:00", "2000年1月1日"),
])
def test_known_values(of_type, text, value):
    assert values.FORMATTERS[of_type](text) == value


def test_half_past_eleven_at_night_in_utc_is_the_next_morning_in_shanghai():
    at = datetime(2026, 3, 2, 23, 30, tzinfo=UTC).isoformat()
    assert values.FORMATTERS["time"](at) == "2026年3月3日 07:30"
    assert values.FORMATTERS["date"](at) == "2026年3月3日"


def test_the_templates_are_without_a_fault_and_every_kind_leads_to_a_page():
    assert lint() == []
    assert set(TEMPLATES) == set(PAGES) == {
        "approval_result", "reservation_received", "reservation_voided", "draw_committed", "draw_objection_result",
        "reservation_disqualified",
        "draw_result", "voucher_issued", "voucher_expiring", "order_placed",
        "voucher_given_back", "round_closing", "application_unfinished",
        "order_paid", "order_accepted", "order_declined", "order_delivered", "order_sent_back", "order_completed",
        "order_undelivered", "order_termination",
        "order_closed", "review_reminder", "system_review_made", "application_received", "approval_waiting",
        "institution_standing", "consultant_progress", "review_revealed", "review_replied", "text_hidden", "review_digest",
        "order_frozen", "risk_proposed", "appeal_result", "redemption_result", "payout_result", "price_requested",
        "price_confirmed", "payment_approved", "payment_rejected", "digest", "bot_answer", "filing_revoked",
        "filing_named", "filing_objection_result", "filing_objected", "demand_undelivered", "security_changed",
        "demand_posted", "demand_reminder", "demand_alternatives", "demand_answered", "demand_closed",
    }


def test_the_texts_of_the_notices_give_each_template_its_fields_and_page():
    assert set(notice_texts.TEXTS) == set(TEMPLATES)
    for kind, text in notice_texts.TEXTS.items():
        assert set(text.fields) == {each.field for each in TEMPLATES[kind].keywords}
        assert text.page.partition("?")[0] == PAGES[kind]


def test_the_documentation_of_the_templates_names_each_kind_title_and_field():
    lines = {line.split()[0]: line for line in (templates.__doc__ or "").splitlines() if line.startswith("    ")}
    for each in TEMPLATES.values():
        line = lines[each.kind]
        assert each.title in line
        shown = re.sub(r"\([^)]*\)", "", line).split(maxsplit=2)[2]
        assert [field.strip() for field in shown.split(",")] == [keyword.field for keyword in each.keywords]


GOOD = Keyword("事项", "thing1", "subject")


@pytest.mark.parametrize(("keywords", "problem"), [
    ((GOOD,), "1 keywords"),
    (tuple(Keyword("字", f"thing{number}", f"f{number}") for number in range(1, 7)), "6 keywords"),
    ((GOOD, Keyword("编号", "thing2", "order_number")), "thing2: a number of 24 characters needs a character_string"),
    ((GOOD, Keyword("结果", "phrase2", "result")), "phrase2: a phrase, and nothing else, has a list of values"),
    ((GOOD, Keyword("结果", "phrase2", "result", ("已经审核通过",))), "phrase2: 「已经审核通过」 is not up to five 汉字"),
    ((GOOD, Keyword("结果", "phrase2", "result", ("OK",))), "phrase2: 「OK」 is not up to five 汉字"),
    ((GOOD, Keyword("结果", "wish2", "result")), "wish2: unknown type"),
    ((GOOD, Keyword("事项", "thing1", "other")), "a key or field is there twice"),
])
def test_a_faulty_template_is_found_before_a_message_is_sent(keywords, problem):
    faulty = Template("approval_result", "标题", keywords)
    assert lint([faulty], frozenset({"approval_result"})) == [f"approval_result: {problem}"]


def test_unknown_missing_and_equally_titled_kinds_are_found():
    keywords = (GOOD, Keyword("时间", "time2", "time"))
    assert lint([Template("a", "标题", keywords), Template("b", "标题", keywords)], frozenset({"a", "c"})) == [
        "b: unknown kind", "c: no template", "a: title used twice", "b: title used twice",
    ]
    assert lint([Template("a", "标题", keywords), Template("a", "又一个标题", keywords)], frozenset({"a"})) == ["a: written twice"]


def test_an_optional_field_that_is_empty_gets_a_placeholder():
    data = fill(TEMPLATES["approval_result"], {"subject": "企业认证", "result": "审核通过", "time": "2026-03-02T01:00:00+00:00"})
    assert data == {
        "thing1": {"value": "企业认证"}, "phrase2": {"value": "审核通过"}, "time3": {"value": "2026年3月2日 09:00"},
        "thing4": {"value": "无"},
    }


@settings(max_examples=100, deadline=None)
@given(of=st.sampled_from(list(TEMPLATES.values())), data=st.data())
def test_every_template_filled_with_anything_is_accepted_value_by_value(of, data):
    filled = fill(of, {each.field: data.draw(TEXTS) for each in of.keywords})
    assert list(filled) == [each.key for each in of.keywords]
    assert [fault(each.type, filled[each.key]["value"]) for each in of.keywords] == [""] * len(of.keywords)


def test_the_simulator_is_given_the_same_templates():
    rows = {row["priTmplId"]: row for row in simulator_templates()}
    assert len(rows) == len(TEMPLATES)
    assert rows["tmpl_reservation_received"] == {
        "priTmplId": "tmpl_reservation_received", "title": "预约成功通知", "type": 2,
        "content": "预约批次:{{thing1.DATA}}\n票号:{{character_string2.DATA}}\n公示时间:{{time3.DATA}}\n",
    }


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(sorted(TEMPLATES)), title=TEXTS, body=TEXTS, reference=TEXTS, field=TEXTS, times=st.integers(1, 60))
def test_a_dingtalk_notice_never_has_more_than_2048_bytes(kind, title, body, reference, field, times):
    fields = {each.field: field * times for each in TEMPLATES[kind].keywords}
    made = notice(Message(kind, "u1", title, body * times, "/pages/orders/show?id=1", fields, reference * times))
    assert len(to_json(made)) <= 2048


def test_a_chinese_text_of_seven_hundred_characters_is_trimmed_by_bytes():
    made = notice(Message("voucher_issued", "u1", "服务券到账", "券" * 700, "pages/wallet/index", {}, "1"))
    content = made["oa"]["body"]["content"]
    assert set(content) == {"券"}
    assert 2046 <= len(to_json(made)) <= 2048


def test_all_notices_of_the_same_kind_differ_by_their_reference():
    made = [notice(Message("review_reminder", "u1", "评价提醒", "请评价", "", {}, reference)) for reference in ("1", "2")]
    assert all(one != other for one, other in product(made, repeat=2) if one is not other)
