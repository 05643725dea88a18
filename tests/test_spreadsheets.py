"""Files of tables: whatever people type, nothing in them is a formula, and the same rows give the same bytes (F07)."""

import csv
import re
import zipfile
from io import BytesIO, StringIO

from hypothesis import example, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from handlers.spreadsheets import FORMULA_STARTS, Yuan, clean, write_csv, write_xlsx

ATTACKS = (
    "=1+1", '=HYPERLINK("http://evil.example","点我")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1+1", "＠x",
    "=cmd|' /C calc'!A0", "a\x00b", "\x0b=1", "_x003D_1+1", "{=1+1}", "<r><t>=1</t></r>",
    '<r></t></is></c><c r="B9"><f>1+1</f></c></r>',
    "http://evil.example", "00123", "1e9", "'=1", '"', "\u202e=1", "\ud800", "x" * 40_000, "公司\r\n=1", "]]>", "&lt;f&gt;",
)


def sheet_xml(content: bytes) -> str:
    with zipfile.ZipFile(BytesIO(content)) as book:
        return book.read("xl/worksheets/sheet1.xml").decode()


def read_csv(content: bytes) -> list[list[str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(StringIO(content.decode("utf-8-sig"), newline="")))


def assert_harmless(texts: list[str]) -> None:
    content = write_xlsx({"表": (("甲",), [(text,) for text in texts])})
    xml = sheet_xml(content)
    assert "<f>" not in xml and "<f " not in xml and "<hyperlink" not in xml
    assert set(re.findall(r'<c [^>]*\bt="(\w+)"', xml)) == {"inlineStr"}
    read = CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert len(read) <= len(texts) + 1 and all(len(row) == 1 for row in read)
    for row in read_csv(write_csv(("甲",), [(text, 1) for text in texts]))[1:]:
        assert not row[0].lstrip().startswith(FORMULA_STARTS) and not row[0].startswith(FORMULA_STARTS)
        assert row[1] == "1" and len(row) == 2


def test_no_known_attack_becomes_a_formula() -> None:
    assert_harmless(list(ATTACKS))


TEXTS = st.builds(lambda start, rest: start + rest, st.sampled_from(["", *FORMULA_STARTS, "<r>", "_x"]), st.text())


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5))
@example(["<r></r>"])
def test_no_text_becomes_a_formula(texts: list[str]) -> None:
    assert_harmless(texts)


def test_texts_come_back_as_they_were_written() -> None:
    texts = ["郑州某某有限公司", "=1+1", "00123", "_x003D_", "<r><b/></r>", "a & b < c", "两行\n文字", " 前后空格 "]
    content = write_xlsx({"表": (("甲",), [(text,) for text in texts])})
    read = [row[0] for row in CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python()]
    assert read == ["甲", "郑州某某有限公司", "=1+1", "00123", "_x003D_", "<r><b/></r> ", "a & b < c", "两行\n文字", " 前后空格 "]


def test_money_is_a_number_in_a_workbook_and_plain_digits_in_a_csv() -> None:
    rows = [(Yuan(123456), Yuan(-5), 7, None), (Yuan(9_999_999_999_999_99), Yuan(0), -7, "")]
    content = write_xlsx({"表": (("甲", "乙", "丙", "丁"), rows)})
    read = CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python()
    assert read[1:] == [[1234.56, -0.05, 7.0, ""], [9999999999999.99, 0.0, -7.0, ""]]
    assert read_csv(write_csv(("甲", "乙", "丙", "丁"), rows))[1:] == [
        ["1234.56", "-0.05", "7", ""], ["9999999999999.99", "0.00", "-7", ""],
    ]


def test_the_same_rows_give_the_same_bytes() -> None:
    def made() -> bytes:
        return write_xlsx({"一": (("甲",), iter([("x",)])), "二": (("乙",), [(Yuan(1),)])}, {"title": "对账单"})

    assert made() == made()


def test_control_characters_are_removed_and_lines_kept() -> None:
    assert clean("a\x00b\x1bc\x7f\n\t\u202ed\ud800\uffff") == "abc\n\td"
    assert len(clean("x" * 40_000)) == 32_767


def test_titles_of_sheets_lose_what_a_title_cannot_have() -> None:
    content = write_xlsx({"[对]:*?/\\账'" + "单" * 40: (("甲",), [])})
    assert len(CalamineWorkbook.from_filelike(BytesIO(content)).sheet_names[0]) == 31
