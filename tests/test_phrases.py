"""The bot's tables as their keepers see them: every phrase finds its intent, every text has its facts, and nothing is said twice."""

import ast
import re
from pathlib import Path

import pytest

import bot.conversation  # noqa: F401 - the topics register their answers
from bot.answering import ANSWERS, IF
from bot.intents import PLACE, SLOTS, group_of, intents, matcher, understand, words_of
from bot.links import PUBLISHED_PAGES
from bot.slots import holds_secret, tokens
from bot.wording import phrases, spelled, squeezed, traditional
from handlers.context import Actor
from handlers.notice_filling import CLAUSE
from handlers.notice_filling import PLACE as FACT
from miniapp_api.apis import APIS
from miniapp_api.routing import Permission
from models.accounts import OrganisationKind, Role
from settings import ROOT

GROUPS = ("enterprise", "institution", "consultant", "reviewer", "finance", "official", "nobody")  # what group_of says
EXAMPLES = {"order": "8137", "amount": "3万", "month": "6月", "voucher": "审计券", "ticket": "R202307-00001234", "case": "1287",
            "phone": "13853112345", "text": " 缺合同日期 "}
MENU = [
    "wallet", "reserve", "reservations", "draw_result", "bill", "orders", "find_service", "post_demand", "qualification", "progress",
    "why", "appeal", "switch_identity", "human", "announcements", "demands", "price", "claim", "consultants", "todo", "spot_check",
    "report", "help", "accept", "finish", "confirm", "review", "score", "badge", "leave_institution", "approve", "reject", "recuse",
    "payouts", "budget",
]
SPOKEN = [(group, intent.name, phrase) for group in GROUPS for intent in intents().values() if intent.is_for(group)
          for phrase in intent.phrases]


def example(phrase: str) -> str:
    return PLACE.sub(lambda place: EXAMPLES[place[1]], phrase)


# --- the table --------------------------------------------------------------------------------------------------------------------


def faults() -> list[str]:
    found = []
    for intent in intents().values():
        if len({squeezed(spelled(phrase)) for phrase in intent.phrases}) < 5:
            found.append(f"{intent.name}: fewer than five phrasings")
        if not intent.who <= {*GROUPS, "any"} or not intent.roles <= set(Role):
            found.append(f"{intent.name}: unknown group or role")
        if intent.page not in PUBLISHED_PAGES:
            found.append(f"{intent.name}: unknown page {intent.page}")
        found += [f"{intent.name}: unknown place in {phrase}" for phrase in intent.phrases if not set(PLACE.findall(phrase)) <= SLOTS]
        found += [f"{intent.name}: {{text}} in the middle of {phrase}" for phrase in intent.phrases
                  if "{text}" in phrase and not (phrase.startswith("{text}") or phrase.endswith("{text}"))]
    return found


def collisions() -> list[str]:
    """Two intents of one group that are said in the same words."""
    found = []
    for group in GROUPS:
        seen: dict[str, str] = {}
        for intent in intents().values():
            for phrase in intent.phrases if intent.is_for(group) else ():
                literal = PLACE.sub("", spelled(phrase))
                plain = words_of(literal, tokens(literal))
                if plain and seen.setdefault(plain, intent.name) != intent.name:
                    found.append(f"{group}: {phrase} is {seen[plain]} and {intent.name}")
    return found


def test_every_intent_has_five_phrasings_known_places_and_a_page():
    assert faults() == []


def test_no_two_intents_of_a_group_are_said_in_the_same_words():
    assert collisions() == []


def test_every_menu_key_is_an_intent_and_every_intent_has_an_answer():
    assert [key for key in MENU if key not in intents()] == []
    assert set(ANSWERS) == set(intents())


@pytest.mark.parametrize(("group", "name", "phrase"), SPOKEN)
def test_every_phrase_of_every_intent_finds_its_intent(group, name, phrase):
    for said in (phrase, phrase.replace("{", " {").replace("}", "} "), f"请问 {phrase}？"):
        match = understand(group, example(said))
        assert match.intent is not None, (said, [one.name for one in match.offered])
        assert match.intent.name == name, said


@pytest.mark.parametrize(("group", "name", "phrase"), SPOKEN)
def test_a_phrase_is_understood_in_traditional_characters_and_full_width(group, name, phrase):
    back = {simple: old for old, simple in traditional().items() if old not in "乾著"}
    old = "".join(back.get(letter, letter) for letter in example(phrase))
    wide = "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in example(phrase))
    for said in (old, wide):
        match = understand(group, said)
        assert match.intent is not None and match.intent.name == name, said


@pytest.mark.parametrize("group", GROUPS)
def test_no_phrase_of_one_role_leaks_to_another(group):
    """Said by somebody else, a phrase is one of this group's own intents or none; never the other's."""
    for intent in intents().values():
        for phrase in () if intent.is_for(group) else intent.phrases:
            match = understand(group, example(phrase))
            assert all(one.is_for(group) for one in (*match.offered, *([match.intent] if match.intent else [])))


@pytest.mark.parametrize("name", sorted(name for name, intent in intents().items() if intent.roles))
def test_what_changes_something_is_for_the_roles_that_the_api_lets_in(name):
    """The bot and the API are two doors of one house."""
    routes = {
        "reserve": "reserve", "change_reservation": "change_reservation", "cancel_reservation": "withdraw_reservation",
        "confirm": "confirm_completion", "send_back": "send_back", "review": "review_order", "price": "settle_price",
        "accept": "accept_order", "decline": "decline_order", "finish": "deliver_order", "post_demand": "post_demand",
        "take_demand": "take_demand", "pass_demand": "pass_demand", "contact_demand": "contact_made", "payouts": "list_batches",
        "invite_consultant": "invite_consultant", "end_consultant": "unlink_consultant", "export_batch": "take_bank_file",
        "spot_check": "list_risks",
    }
    who: Permission = next(each.who for api in APIS for each in api.operations if each.name == routes[name])
    assert {str(role) for role in who.roles} == intents()[name].roles


def test_everybody_belongs_to_one_group():
    def of(role: Role, kind: OrganisationKind) -> str:
        return group_of(Actor(role, 1, None, 1, 1, 1, kind))

    assert of(Role.VIEWER, OrganisationKind.ENTERPRISE) == "enterprise"
    assert of(Role.OWNER, OrganisationKind.INSTITUTION) == "institution"
    assert of(Role.CONSULTANT, OrganisationKind.INSTITUTION) == "consultant"
    reviewers = (Role.REVIEWER, Role.CENTRE_REVIEWER, Role.RISK_OFFICER, Role.ADMIN)
    assert {of(role, OrganisationKind.OFFICE) for role in reviewers} == {"reviewer"}
    assert {of(role, OrganisationKind.OFFICE) for role in (Role.PAYOUT_OFFICER, Role.PROGRAMME_MANAGER)} == {"finance"}
    assert {of(role, OrganisationKind.OFFICE) for role in (Role.DRAW_OFFICER, Role.WITNESS)} == {"official"}
    assert group_of(Actor(person_id=1)) == "nobody"


# --- what 帮助 shows ------------------------------------------------------------------------------------------------------------------


def test_every_group_has_examples_and_each_is_understood_there():
    assert set(phrases("examples")) == set(GROUPS)
    for group, said in ((group, said) for group, examples in phrases("examples").items() for said in examples):
        match = understand(group, said)
        assert match.intent is not None and match.intent.is_for(group), (group, said)


@pytest.mark.parametrize("group", GROUPS)
def test_the_title_of_an_intent_is_a_way_to_say_it(group):
    """帮助 lists the titles, and people type what they read."""
    titles = {intent.title: intent for intent in intents().values() if intent.is_for(group)}
    assert {title: understand(group, title).intent for title in titles} == titles


def test_an_example_that_is_shown_to_whoever_comes_is_understood_by_everybody():
    """These are said before it is known as whom somebody speaks."""
    found = {said for name in ("binding_talk", "files", "events")
             for shown in re.findall("例如((?:「[^」]+」)+)。", (ROOT / "bot" / f"{name}.py").read_text(encoding="utf-8"))
             for said in re.findall("「([^」]+)」", shown)}
    assert len(found) > 1
    understood = {(group, said): understand(group, said).intent for group in GROUPS for said in found}
    assert [asked for asked, intent in understood.items() if intent is None] == []


# --- sentences --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "text", "name", "rest"), [
    ("enterprise", "请问我们公司现在还有多少券可以用啊", "wallet", ""),
    ("enterprise", "預約　審計券！", "reserve", "審計券！"),
    ("enterprise", "ＩＳＯ14001 哪家能用券？", "find_service", "ＩＳＯ14001"),
    ("enterprise", "市中区 审计", "find_service", "市中区 审计"),
    ("enterprise", "好评 很专业，报告也及时", "review", "很专业，报告也及时"),
    ("enterprise", "订单 202603020900001234568137 到哪了", "orders", ""),
    ("enterprise", "我的预越记录", "reservations", ""),
    ("enterprise", "改成 通用券", "change_reservation", "通用券"),
    ("institution", "核价 8137 30000", "price", ""),
    ("institution", "订单8137核价三万五", "price", ""),
    ("institution", "提交完成 8137 审计报告已交付", "finish", "8137 审计报告已交付"),
    ("reviewer", "通过 #1287", "approve", "#1287"),
    ("reviewer", "驳回 1287 缺合同日期", "reject", "1287 缺合同日期"),
    ("reviewer", "不通过 1287 缺合同日期", "reject", "1287 缺合同日期"),
    ("reviewer", "#1287", "show_case", ""),
    ("finance", "6月兑付", "payouts", ""),
])
def test_sentences_are_understood_with_their_free_text_as_it_was_typed(group, text, name, rest):
    match = understand(group, text)
    assert match.intent is not None, match.offered
    assert (match.intent.name, match.rest) == (name, rest)


@pytest.mark.parametrize("text", ["今天天气怎么样", "嗯嗯嗯嗯", "！！！", "", "asdfgh", "🙂", "讲个笑话吧"])
def test_what_is_nothing_is_not_taken_for_something(text):
    for group in GROUPS:
        assert understand(group, text).intent is None


def test_between_two_things_it_is_asked_which():
    match = understand("enterprise", "余额账单")
    assert match.intent is None
    assert {one.name for one in match.offered} == {"wallet", "bill"}


@pytest.mark.parametrize("text", [
    "274906", "２７４９０６", " 2 7 4 9 0 6 ", "支付密码 274906", "我的密码是274906", "密碼：274 906", "二七四九零六", "password 274906",
    "mm274906", "密码二七四九零六", "274906。", "274-906",
])
def test_a_payment_password_is_recognised_however_it_is_written(text):
    assert holds_secret(spelled(text))


@pytest.mark.parametrize("text", [
    "8137", "核价 8137 300000元", "订单 202603020900001234568137", "忘记支付密码了怎么办", "30万", "13853112345", "R202307-00001234",
    "2026-06", "账单6月", "#128712",
])
def test_what_is_no_password_is_not_refused(text):
    assert not holds_secret(spelled(text))


def test_a_sentence_keeps_its_places_in_every_spelling():
    for text in ("ＡＢＣ 驗收 ①㈱ﬁ", "合同－總價：￥３０，０００", "😀㍿"):
        assert len(spelled(text)) == len(text)
    assert spelled("驗收３０，０００元") == "验收30,000元"
    assert [(token.kind.value, token.text) for token in tokens(spelled("核價 ８１３７　三萬元 2026-06"))] == [
        ("number", "8137"), ("amount", "三万元"), ("month", "2026-06"),
    ]


# --- the answers ------------------------------------------------------------------------------------------------------------------


# Whatever says a text of answers.toml.
SPEAKING = [
    *sorted((ROOT / "bot" / "topics").glob("*.py")),
    *(ROOT / "bot" / f"{name}.py" for name in ("conversation", "answering", "cards", "files")),
]


def calls() -> dict[str, set[str]]:
    """text -> the facts that the code gives it, by reading `say(...)`, `tell(...)` and names that end in them."""
    found: dict[str, set[str]] = {}
    for path in SPEAKING:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", node.value):
                found.setdefault(node.value, set())
    return found


def test_every_text_is_used_and_every_text_that_is_used_is_there():
    written = {f"{section}.{name}" for section, texts in phrases("answers").items() for name in texts}
    used = {key for key in calls() if key.partition(".")[0] in phrases("answers")}
    assert written - used == set()
    assert used - written == set()


KEYWORDS = re.compile(r"(\w+)=")


def test_every_place_of_a_text_is_a_fact_that_some_code_gives():
    code = "".join(path.read_text(encoding="utf-8") for path in SPEAKING)
    given = set(KEYWORDS.findall(code)) | set(re.findall(r'"(\w+)": ', code))
    for section, texts in phrases("answers").items():
        for name, text in texts.items():
            places = set(FACT.findall(text)) | set(IF.findall(text))
            assert places <= given, f"{section}.{name}: {places - given}"
            assert text.count("[") == text.count("]") == len(CLAUSE.findall(text)), f"{section}.{name}: brackets"
            assert text == text.strip()


def test_a_phrase_on_a_button_is_one_that_is_understood():
    """What a person types where there are no buttons has to do the same."""
    code = "".join(path.read_text(encoding="utf-8") for path in Path(ROOT / "bot" / "topics").glob("*.py"))
    for title, phrase in re.findall(r'talk\.button\("([^"{]+)"(?:, "([^"{]+)")?\)', code):
        said = phrase or title
        assert any(said in matcher(group).exact for group in GROUPS), said
