"""The draw is right when a stranger, with the published file and docs/draw.md, finds the same winners (F01, F15)."""

import copy
import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verify_draw
from handlers import draw_rules as rules

PAGE = (Path(__file__).parent.parent / "docs" / "draw.md").read_text(encoding="utf-8")
OFFICER, WITNESS = bytes(range(32)), bytes(range(32, 64))
COMMITTED_AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LOTTERY = rules.draw_source("中国福利彩票双色球 第2026135期 开奖号码", COMMITTED_AT + timedelta(hours=51, minutes=15), "ssq")
BEACON = rules.draw_source("drand quicknet 第 25000000 轮 randomness", COMMITTED_AT + timedelta(days=3), "drand")


def example(name):
    """The text of one labelled block of docs/draw.md."""
    found = re.search(rf"^```[a-z]+ {name}\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/draw.md has no block {name}"
    return found[1]


def example_inputs():
    """The receipts and settings the page starts from; the rest of the page is computed from them alone."""
    return [line.split() for line in example("receipts").splitlines()], json.loads(example("inputs"))


def example_bundle():
    receipts, inputs = example_inputs()
    lines = [
        f"{number}|{code}|{rules.entry_digest(number, credit, bytes.fromhex(salt))}|{left}"
        for number, code, credit, salt, left in receipts
    ]
    officer, witness = bytes.fromhex(inputs["officer_secret"]), bytes.fromhex(inputs["witness_secret"])
    sources = [rules.draw_source(s["name"], datetime.fromisoformat(s["at"]), s["format"]) for s in inputs["sources"]]
    part = rules.build_commitment(
        round_no=inputs["round_no"],
        lines=lines,
        quotas=inputs["quotas"],
        alternates=inputs["alternates"],
        officer_commitment=rules.commitment(inputs["round_no"], "officer", officer),
        witness_commitment=rules.commitment(inputs["round_no"], "witness", witness),
        sources=sources,
        committed_at=datetime.fromisoformat(inputs["committed_at"]),
    )
    typed = [rules.normalise_value(s["format"], text) for s, text in zip(sources, inputs["typed"], strict=True)]
    return finish(part, officer, witness, rules.public_value(sources, typed))


def finish(part, officer, witness, public):
    tickets = map(rules.parse_line, part["tickets"])
    seed = rules.seed(part, officer, witness, public)
    results = rules.choose(seed, tickets, part["quotas"], part["alternates"])
    return {"commitment": part, "reveal": rules.build_reveal(part, officer, witness, public, results)}


def make_bundle(tickets, quotas, alternates, *, officer=OFFICER, witness=WITNESS, redraw=None):
    """A whole drawn round 202611; `tickets` are (voucher type, wins left) in order of ticket number."""
    lines = [
        rules.ticket_line(rules.Ticket(rules.ticket_number("202611", n), code, f"{n:064x}", left))
        for n, (code, left) in enumerate(tickets, 1)
    ]
    part = rules.build_commitment(
        round_no="202611",
        lines=lines,
        quotas=quotas,
        alternates=alternates,
        officer_commitment=rules.commitment("202611", "officer", officer),
        witness_commitment=rules.commitment("202611", "witness", witness),
        sources=[LOTTERY, BEACON],
        committed_at=COMMITTED_AT,
        redraw=redraw,
    )
    return finish(part, officer, witness, f"03 07 12 18 25 31+09/{'ab' * 32}")


@pytest.fixture
def verify(tmp_path, capsys):
    """Runs the stand-alone verifier in this process: (exit code, names of the failed checks)."""

    def run(bundle, *options):
        file = tmp_path / "bundle.json"
        file.write_text(bundle if isinstance(bundle, str) else json.dumps(bundle, ensure_ascii=True), encoding="utf-8")
        code = verify_draw.main([str(file), *options])
        capsys.readouterr()
        return code, list(verify_draw.failures)

    return run


# --- the page ---------------------------------------------------------------------------------------------------------------


def test_the_page_states_what_the_rules_compute():
    bundle = example_bundle()
    part, reveal = bundle["commitment"], bundle["reveal"]
    seed = bytes.fromhex(reveal["seed"])
    rows = [line.split("|") for line in part["tickets"]]
    keys = sorted([rules.order_key(seed, number).hex(), number, code, left] for number, code, _, left in rows)
    assert example("list") == "\n".join(part["tickets"])
    assert json.loads(example("bundle")) == bundle
    assert example("keys").splitlines() == [" ".join(row) for row in keys]


@pytest.mark.parametrize(
    ("block", "field"),
    [("quotas-text", "quotas_digest"), ("list", "list_digest"), ("announcement-text", "commitment_digest")],
)
def test_each_text_of_the_page_hashes_to_the_digest_in_the_example(block, field):
    assert hashlib.sha256(example(block).encode()).hexdigest() == example_bundle()["commitment"][field]


def test_the_seed_text_of_the_page_hashes_to_the_seed():
    assert hashlib.sha256(example("seed-text").encode()).hexdigest() == example_bundle()["reveal"]["seed"]


def test_every_digest_in_the_sentences_of_the_page_is_the_computed_one():
    bundle = example_bundle()
    part, reveal = bundle["commitment"], bundle["reveal"]
    sentences = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    number, _, credit, salt, _ = example_inputs()[0][0]
    assert re.findall(r"\b[0-9a-f]{64}\b", sentences) == [
        rules.parse_line(part["tickets"][0]).entry_digest,
        part["list_digest"],
        part["quotas_digest"],
        reveal["officer_secret"],
        part["officer_commitment"],
        part["commitment_digest"],
        reveal["seed"],
    ]
    assert f"`{number}|{credit}|{salt}`" in sentences
    assert f"--ticket {number} --credit-code {credit} --salt {salt}`" in sentences


def test_the_example_shows_a_skipped_ticket_and_both_kinds_of_cap():
    seed = bytes.fromhex(example_bundle()["reveal"]["seed"])
    receipts, _ = example_inputs()
    first = min((rules.order_key(seed, r[0]), r) for r in receipts if r[1] == "DIGITAL")[1]
    assert first[4] == "0"
    assert {receipt[4] for receipt in receipts} == {"-", "0", "1", "2"}


def test_the_verifier_accepts_the_bundle_and_every_receipt_on_the_page(verify):
    for number, _, credit, salt, _ in example_inputs()[0]:
        assert verify(example("bundle"), "--ticket", number, "--credit-code", credit, "--salt", salt) == (0, [])


# --- rounds of any shape ----------------------------------------------------------------------------------------------------

counts = st.fixed_dictionaries({code: st.integers(0, 6) for code in ("A", "b-2", "Z_9")})
tickets_of_a_round = st.lists(st.tuples(st.sampled_from(("A", "b-2", "Z_9")), st.sampled_from((None, 0, 1, 3))), max_size=30)
secrets = st.binary(min_size=32, max_size=32)


@settings(max_examples=60, deadline=None, database=None)
@given(tickets=tickets_of_a_round, quotas=counts, alternates=counts, officer=secrets, witness=secrets)
def test_the_independent_verifier_agrees_and_the_order_is_kept(tmp_path_factory, tickets, quotas, alternates, officer, witness):
    bundle = make_bundle(tickets, quotas, alternates, officer=officer, witness=witness)
    file = tmp_path_factory.getbasetemp() / "round.json"
    file.write_text(json.dumps(bundle), encoding="utf-8")
    assert verify_draw.main([str(file)]) == 0
    seed = bytes.fromhex(bundle["reveal"]["seed"])
    every = [rules.parse_line(line) for line in bundle["commitment"]["tickets"]]
    for code, found in bundle["reveal"]["results"].items():
        able = [ticket.ticket_no for ticket in every if ticket.voucher_type == code and ticket.wins_left != 0]
        able.sort(key=lambda number: rules.order_key(seed, number))
        # Alternates are the very next tickets of the same order, and nobody at the yearly cap is among either (E17, F15).
        assert found["winners"] + found["alternates"] == able[: quotas[code] + alternates[code]]
        assert len(found["winners"]) == min(quotas[code], len(able))


def test_a_hundred_thousand_tickets_are_drawn_and_verified(verify):
    types = [("A", None), ("A", 0), ("B", 2), ("A", 1)]
    bundle = make_bundle([types[n % 4] for n in range(100_000)], {"A": 20_000, "B": 30_000}, {"A": 500, "B": 500})
    found = bundle["reveal"]["results"]
    assert [len(found[code][kind]) for code in "AB" for kind in ("winners", "alternates")] == [20_000, 500, 25_000, 0]
    assert verify(bundle) == (0, [])


def test_the_list_is_hashed_as_a_stream_and_refuses_a_wrong_order():
    lines = [f"R1-{n:08d}|A|{n:064x}|-" for n in range(1, 4)]
    assert rules.list_digest(iter(lines)) == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert rules.list_digest([]) == hashlib.sha256(b"").hexdigest()
    for wrong in ([lines[1], lines[0]], [lines[0], lines[0]]):
        with pytest.raises(ValueError, match="does not come after"):
            rules.list_digest(wrong)


# --- tampering --------------------------------------------------------------------------------------------------------------


def small_bundle():
    tickets = [("A", None), ("A", 1), ("B", 0), ("A", 0), ("B", 2), ("A", 2), ("B", None), ("A", 1)]
    return make_bundle(tickets, {"A": 2, "B": 1}, {"A": 1, "B": 1}, redraw=rules.Redraw(2, "c" * 64, "见证人未按时公开随机数"))


def changed_values(value):
    """Every way in which one value of a JSON document may be changed a little."""
    if isinstance(value, bool | int):
        yield from (value + 1, value - 1, float(value), str(value), None)
    elif isinstance(value, str):
        yield from (value + "0", value + "\n", " " + value, value.swapcase() + ".", "", None, [value])
        yield from (value[:at] + ("1" if value[at] != "1" else "2") + value[at + 1 :] for at in range(len(value)))
        if value.upper() != value:
            yield value.upper()
    elif isinstance(value, list):
        yield from (value[1:], value[:-1], [*value, *value[:1]], value[::-1]) if len(value) > 1 else ([], value * 2)
        yield None
    else:
        yield from ({**value, "extra": 1}, {}, None)
        yield from ({k: v for k, v in value.items() if k != gone} for gone in value)


def tampered(value):
    """The document with exactly one place changed, for every place and change, as (path, document)."""
    for changed in changed_values(value):
        yield "", changed
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        for path, changed in tampered(child):
            document = copy.copy(value)
            document[key] = changed
            yield f"/{key}{path}", document


def test_every_single_change_of_the_bundle_is_found(verify):
    bundle = small_bundle()
    assert verify(bundle) == (0, [])
    paths, missed = Counter(), []
    for path, document in tampered(bundle):
        paths[path] += 1
        if verify(document)[0] != 1:
            missed.append((path, document))
    assert missed == []
    assert len(paths) > 50


@pytest.mark.parametrize(
    ("where", "value", "failed"),
    [
        (("commitment", "tickets", 1), f"R202611-00000002|A|{2:064x}|0", {"清单摘要"}),
        (("commitment", "tickets", 1), f"R202611-00000002|A|{9:064x}|1", {"清单摘要"}),
        (("commitment", "ticket_count"), 9, {"清单票数", "封存公告摘要"}),
        (("commitment", "quotas", "A"), 3, {"配额摘要", "中签 A", "候补 A"}),
        (("commitment", "alternates", "B"), 0, {"封存公告摘要", "候补 B"}),
        (("commitment", "sources", 0, "name"), "上证综指 收盘", {"封存公告摘要"}),
        (("commitment", "committed_at"), "2026-11-24T18:00:00+08:00", {"公开数晚于封存", "封存公告摘要"}),
        (("reveal", "officer_secret"), "0" * 64, {"摇号员承诺", "种子"}),
        (("reveal", "witness_secret"), "0" * 64, {"见证人承诺", "种子"}),
        (("reveal", "seed"), "0" * 64, {"种子"}),
    ],
)
def test_the_check_that_fails_is_named(verify, where, value, failed):
    bundle = small_bundle()
    place = bundle
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    code, names = verify(bundle)
    assert code == 1
    assert failed <= set(names)
    assert not {"文件可读", "封存部分字段"} & set(names)


def test_swapping_winner_and_alternate_names_both_lists(verify):
    bundle = small_bundle()
    found = bundle["reveal"]["results"]["A"]
    found["winners"][0], found["alternates"][0] = found["alternates"][0], found["winners"][0]
    assert verify(bundle) == (1, ["中签 A", "候补 A"])


def test_a_wholly_recomputed_forgery_is_found_by_the_digest_somebody_kept(verify):
    kept = small_bundle()["commitment"]["commitment_digest"]
    forged = make_bundle([("A", None)] * 5, {"A": 2, "B": 1}, {"A": 1, "B": 1})
    assert verify(small_bundle(), "--digest", kept) == (0, [])
    assert verify(forged) == (0, [])
    assert verify(forged, "--digest", kept) == (1, ["与您记下的公告摘要一致"])


def test_two_bundles_cannot_share_an_announcement_by_line_breaks_in_a_name(verify):
    bundle = small_bundle()
    first, second = bundle["commitment"]["sources"]
    glued = f"{first['name']}\nsource={second['at']}|{second['format']}|{second['name']}"
    bundle["commitment"]["sources"] = [{**first, "name": glued}]
    code, names = verify(bundle)
    assert (code, "说明文字为单行" in names, "封存公告摘要" in names) == (1, True, False)


def test_a_doubled_key_and_a_broken_file_fail(verify):
    text = json.dumps(small_bundle())
    assert verify(text.replace('"attempt": 2', '"attempt": 3, "attempt": 2')) == (1, ["文件可读"])
    for broken in ("", "[]", "{}", "null", text[:-1]):
        assert verify(broken)[0] == 1


# --- between commitment and draw, and one's own receipt ---------------------------------------------------------------------


def test_before_the_draw_only_the_sealed_part_is_verified_and_only_when_asked(verify):
    bundle = {**small_bundle(), "reveal": None}
    assert verify(bundle, "--sealed") == (0, [])
    assert verify(bundle) == (1, ["开奖部分已公布"])


def test_a_receipt_fits_only_its_own_line(verify):
    number, _, credit, salt, _ = example_inputs()[0][0]
    page = example("bundle")
    assert verify(page, "--sealed", "--ticket", number, "--credit-code", credit.lower(), "--salt", salt.upper()) == (0, [])
    wrong = (1, ["回执与清单一致"])
    assert verify(page, "--ticket", number, "--credit-code", "9" * 18, "--salt", salt) == wrong
    assert verify(page, "--ticket", number, "--credit-code", credit, "--salt", "0" * 32) == wrong
    assert verify(page, "--ticket", number[:-1] + "9", "--credit-code", credit, "--salt", salt) == (1, ["回执在清单中"])


def test_the_holder_is_told_the_published_result_in_chinese(tmp_path, capsys):
    file = tmp_path / "bundle.json"
    file.write_text(example("bundle"), encoding="utf-8")
    results = json.loads(example("bundle"))["reveal"]["results"]["DIGITAL"]
    said = {}
    for number, _, credit, salt, _ in example_inputs()[0]:
        assert verify_draw.main([str(file), "--ticket", number, "--credit-code", credit, "--salt", salt]) == 0
        said[number] = capsys.readouterr().out.partition("公布结果：")[2].splitlines()
    assert [said[number] for number in results["winners"]] == [["中签", said["R202611-00000001"][1], "结论：全部通过"]] * 2
    assert [said[number][0] for number in results["alternates"]] == ["候补第 1 位"]
    assert Counter(lines[0] for lines in said.values()) == {"中签": 3, "候补第 1 位": 2, "未中签": 1}


def test_a_published_file_cannot_repaint_the_terminal(tmp_path, capsys):
    bundle = small_bundle()
    bundle["commitment"]["tickets"][0] = "\x1b[2K\r通过"
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle), encoding="utf-8")
    assert verify_draw.main([str(file)]) == 1
    assert not {"\x1b", "\r"} & set(capsys.readouterr().out)


def test_half_a_receipt_is_a_wrong_command_line(tmp_path):
    with pytest.raises(SystemExit) as stopped:
        verify_draw.main([str(tmp_path / "bundle.json"), "--ticket", "R202611-00000001"])
    assert stopped.value.code == 2


def test_several_bundles_are_checked_each_and_one_that_fails_is_named(tmp_path, capsys):
    """What the shell makes of bundle-*.json."""
    good, again, bad = (tmp_path / f"bundle-{number}.json" for number in (1, 2, 3))
    good.write_text(example("bundle"), encoding="utf-8")
    again.write_text(json.dumps(small_bundle()), encoding="utf-8")
    assert verify_draw.main([str(good), str(again)]) == 0
    said = capsys.readouterr().out
    assert (said.count("结论：全部通过"), said.splitlines()[-1]) == (2, "共 2 个文件，全部通过")
    bad.write_text(example("bundle").replace('"attempt": 1', '"attempt": 0'), encoding="utf-8")
    # A file that fails is not forgiven by one that passes after it.
    assert verify_draw.main([str(bad), str(good)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"共 2 个文件，1 个不通过：{bad}"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "请给出公布的 JSON 文件"),
        (["bundle.json", "--tickets", "1"], "不认识的参数：--tickets 1"),
        (["bundle.json", "--ticket"], "--ticket 后面须写上内容"),
        (["bundle.json", "--sealed=1"], "--sealed 后面不写内容"),
        (["bundle.json", "--s"], "--s 不完整，可以有几种意思"),
        (["bundle.json", "--ticket", "R202611-00000001"], "--ticket、--credit-code、--salt 须同时给出"),
        (["1.json", "2.json", "--digest", "0" * 64], "摘要和回执各属于一次摇号：请只给出那一次的文件"),
    ],
)
def test_a_wrong_command_line_is_explained_in_chinese(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as stopped:
        verify_draw.main(arguments)
    assert stopped.value.code == 2
    first, usage, more = capsys.readouterr().err.splitlines()
    assert (first, more) == (f"命令行有误：{complaint}", "加 --help 查看说明。")
    assert usage.startswith("用法：verify_draw.py 文件…")


def test_the_help_of_the_verifier_is_chinese(capsys):
    with pytest.raises(SystemExit):
        verify_draw.main(["--help"])
    said = capsys.readouterr().out
    assert "可以有多个，逐一核对" in said
    assert not {"usage", "options", "positional", "show"} & set(re.findall("[a-z]+", said))


# --- fairness ---------------------------------------------------------------------------------------------------------------


def chi_square_of_wins(draws, tickets, quota):
    """Follows chi-square with tickets-1 degrees of freedom if each draw takes `quota` of `tickets` at random."""
    wins = Counter(number for winners in draws for number in winners)
    rate = quota / tickets
    expected, variance = len(draws) * rate, len(draws) * rate * (1 - rate) * tickets / (tickets - 1)
    return sum((wins[rules.ticket_number("1", n)] - expected) ** 2 for n in range(1, tickets + 1)) / variance


def simulated(count, tickets, quota):
    pool = [rules.Ticket(rules.ticket_number("1", n), "A", "0" * 64, None) for n in range(1, tickets + 1)]
    seeds = (hashlib.sha256(b"draw %d" % n).digest() for n in range(count))
    return [rules.choose(seed, pool, {"A": quota}, {"A": 0})["A"]["winners"] for seed in seeds]


def test_every_ticket_wins_equally_often_over_ten_thousand_draws():
    draws = simulated(10_000, tickets=20, quota=5)
    # 43.82 is the 99.9 % point of chi-square with 19 degrees of freedom.
    assert chi_square_of_wins(draws, 20, 5) < 43.82
    assert chi_square_of_wins([winners[:1] for winners in draws], 20, 1) < 43.82
    # The control: a draw that hands one ticket 1 of 20 rounds (+8.7 standard deviations) is caught by the same figure.
    for winners in draws[::20]:
        winners[:] = ["R1-00000001", *[number for number in winners if number != "R1-00000001"][:4]]
    assert chi_square_of_wins(draws, 20, 5) > 43.82


def test_every_order_of_four_tickets_comes_equally_often():
    orders = Counter(tuple(winners) for winners in simulated(12_000, tickets=4, quota=4))
    # 49.73 is the 99.9 % point of chi-square with 23 degrees of freedom; each of the 24 orders is expected 500 times.
    assert len(orders) == 24
    assert sum((seen - 500) ** 2 / 500 for seen in orders.values()) < 49.73


# --- what people type, and what our own code may not do ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value_format", "typed", "value"),
    [
        ("ssq", " 31 3 7，18 25 12 + 9 ", "03 07 12 18 25 31+09"),
        ("ssq", "０３ ０７ １２ １８ ２５ ３１＋０９", "03 07 12 18 25 31+09"),
        ("ssq", "03 07 12 18 25 34+09", None),
        ("ssq", "03 07 12 18 25 31+17", None),
        ("ssq", "00 07 12 18 25 31+09", None),
        ("ssq", "03 03 12 18 25 31+09", None),
        ("ssq", "03 03 07 12 18 25 31+09", None),
        ("ssq", "030712182531+09", None),
        ("ssq", "03 07 12 18 25 31", None),
        ("ssq", "03 07 12 18 25 31+09+10", None),
        ("ssq", "+", None),
        ("dlt", "35,1,20,9,8 + 12,2", "01 08 09 20 35+02 12"),
        ("dlt", "1 8 9 20 35+2", None),
        ("drand", "AB" * 32 + "\n", "ab" * 32),
        ("drand", "ab" * 31, None),
        ("decimal", "3412.57", "3412.57"),
        ("decimal", "3,412.57", None),
        ("decimal", "03412.57", None),
        ("decimal", "3412.5", None),
    ],
)
def test_a_typed_public_value_has_one_spelling_or_none(value_format, typed, value):
    assert rules.normalise_value(value_format, typed) == value
    if value is not None:
        assert verify_draw.well_typed(value_format, value)


@pytest.mark.parametrize("wrong", ["03 07 12 18 31 25+09", "3 07 12 18 25 31+09", "03 07 12 18 25 34+09", "03 07 12", ""])
def test_the_verifier_refuses_a_public_value_of_another_spelling(wrong):
    assert not verify_draw.well_typed("ssq", wrong)


def build(**changes):
    arguments = {
        "round_no": "1",
        "lines": [f"R1-00000001|A|{1:064x}|-"],
        "quotas": {"A": 1},
        "alternates": {"A": 1},
        "officer_commitment": "0" * 64,
        "witness_commitment": "1" * 64,
        "sources": [LOTTERY],
        "committed_at": COMMITTED_AT,
    }
    return rules.build_commitment(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"committed_at": COMMITTED_AT + timedelta(days=3)}, "must fall after"),
        ({"committed_at": datetime(2026, 11, 20, 10)}, "without zone"),  # noqa: DTZ001
        ({"sources": []}, "must fall after"),
        ({"alternates": {"B": 1}}, "same voucher types"),
        ({"quotas": {"A": -1}}, "a count is"),
        ({"quotas": {"A|B": 1}}, "not of the form"),
        ({"lines": [f"R2-00000001|A|{1:064x}|-"]}, "does not belong"),
        ({"lines": [f"R1-00000001|B|{1:064x}|-"]}, "does not belong"),
        ({"lines": [f"R1-00000001|A|{1:064x}|01"]}, "not a canonical"),
        ({"round_no": "2026-11"}, "not of the form"),
        ({"redraw": rules.Redraw(1, "c" * 64, "原因")}, "a redraw names"),
        ({"redraw": rules.Redraw(2, "c" * 64, "")}, "a redraw names"),
        ({"redraw": rules.Redraw(2, "", "原因")}, "a redraw names"),
        ({"redraw": rules.Redraw(2, "c" * 64, "原因\n")}, "a redraw names"),
    ],
)
def test_a_commitment_that_no_one_could_verify_is_not_built(changes, says):
    with pytest.raises(ValueError, match=says):
        build(**changes)


def test_a_secret_other_than_the_committed_one_is_not_revealed():
    part = small_bundle()["commitment"]
    for officer, witness, says in ((WITNESS, WITNESS, "officer"), (OFFICER, OFFICER, "witness"), (b"short", WITNESS, "32 bytes")):
        with pytest.raises(ValueError, match=says):
            rules.build_reveal(part, officer, witness, "", {})


def test_small_pieces_keep_their_exact_form():
    assert rules.ticket_number("202611", 1) == "R202611-00000001"
    for wrong in (0, 10**8):
        with pytest.raises(ValueError, match="eight digits"):
            rules.ticket_number("202611", wrong)
    with pytest.raises(ValueError, match="16 bytes"):
        rules.entry_digest("R1-00000001", "9" * 18, bytes(15))
    with pytest.raises(ValueError, match="not a normalised"):
        rules.public_value([LOTTERY], ["3 7 12 18 25 31+9"])
    assert rules.commitment("1", "officer", OFFICER) != rules.commitment("1", "witness", OFFICER)
