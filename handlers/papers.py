"""Papers to download, print, seal, scan and upload (C16, E09), as Word documents: the kind that WeChat's and DingTalk's viewers open.

The admission form is drawn from the form's own fields, so paper and screen cannot ask different things.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from handlers.institutions_forms import AdmissionForm
from handlers.qualifications import FORM_VERSION, FORMS
from handlers.refusals import NotFound
from models.categories import CATEGORIES

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
# The oldest moment that a zip can name: the same paper is the same bytes, whenever it was made.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
CONTENT_TYPES = (
    f'{HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{MEDIA_TYPE}.main+xml"/></Types>'
)
RELATIONS = (
    f'{HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"'
    ' Target="word/document.xml"/></Relationships>'
)
BORDERS = "".join(f'<w:{side} w:val="single" w:sz="4"/>' for side in ("top", "left", "bottom", "right", "insideH", "insideV"))
PAGE = '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1440" w:right="1417" w:bottom="1440" w:left="1417"/></w:sectPr>'
SEALED_BY = ("单位（盖章）：", "法定代表人（签字）：", "　　　　年　　月　　日")
COMMITMENTS = (
    "本单位自愿申请并使用专项服务券，现郑重承诺：",
    "一、本单位为依法登记、正常经营的中小微企业，申报信息和所附材料真实、准确、完整。",
    "二、服务券仅用于向服务机构购买本单位实际需要的服务，不转让、不买卖、不套取财政资金。",
    "三、与所选服务机构不存在关联关系，服务合同、服务成果和支付凭证真实可查，并妥善保存备查。",
    "四、配合主管部门的审核、抽查、审计和绩效评价。",
    "五、违反上述承诺的，自愿退回已使用的服务券资金，并承担相应的法律责任。",
)


class PaperName(StrEnum):
    ADMISSION_FORM = "admission_form"
    COMMITMENT_LETTER = "commitment_letter"
    ADMISSION_LETTER = "admission_letter"
    PRODUCT_APPLICATION = "product_application"
    RECOMMENDATION_LETTER = "recommendation_letter"


TITLES = {
    PaperName.ADMISSION_FORM: "中小微企业入库申请表", PaperName.COMMITMENT_LETTER: "专项服务券使用承诺书",
    PaperName.ADMISSION_LETTER: "服务机构入库申请书", PaperName.PRODUCT_APPLICATION: "可用券产品申请表",
    PaperName.RECOMMENDATION_LETTER: "入库服务机构推荐表",
}
# What an institution's papers ask: fields of the form, so that paper and screen say the same (C06).
LETTER_FIELDS = {
    PaperName.ADMISSION_LETTER: ("institution_name", "credit_code", "category", "address", "landline", "business_info", "finance_info"),
    PaperName.PRODUCT_APPLICATION: ("institution_name", "credit_code", "category"),
    PaperName.RECOMMENDATION_LETTER: ("institution_name", "credit_code", "category", "introduction"),
}
LETTER_NOTES = {
    PaperName.ADMISSION_LETTER: "本单位申请加入服务机构库，承诺所填内容真实有效，所提供的服务不超出营业执照登记的经营范围。",
    PaperName.PRODUCT_APPLICATION: "本单位承诺仅发布上列服务大类及服务内容的可用券产品。",
    PaperName.RECOMMENDATION_LETTER: "推荐单位意见：",
}
EMPTY_LINES = 8  # of the table of products that is filled by hand


@cache
def paper(name: PaperName) -> bytes:
    """The document as .docx bytes."""
    if name == PaperName.COMMITMENT_LETTER:
        return _document(_heading(TITLES[name]), *map(_paragraph, COMMITMENTS), *map(_paragraph, SEALED_BY))
    if name in LETTER_FIELDS:
        return letter(name, {})
    form = FORMS[FORM_VERSION]
    rows = [(str(field.title), _choices(field.json_schema_extra)) for field in form.model_fields.values()]
    return _document(
        _heading(TITLES[name]), _table(rows), _paragraph("本单位承诺以上内容真实有效。"), *map(_paragraph, SEALED_BY),
        _paragraph(f"表单版本：{FORM_VERSION}"),
    )


def letter(name: PaperName, values: Mapping[str, Any]) -> bytes:
    """A paper of an institution as .docx bytes, with what its form says already; empty cells for the rest.

    Raises NotFound for the papers of enterprises.
    """
    if name not in LETTER_FIELDS:
        raise NotFound
    fields = AdmissionForm.model_fields
    rows = [(str(fields[field].title).partition("（")[0], str(values.get(field, ""))) for field in LETTER_FIELDS[name]]
    if code := values.get("category"):
        rows = [(title, CATEGORIES[code] if text == code else text) for title, text in rows]
    else:
        rows = [(title, _choices(fields["category"].json_schema_extra) if title == "服务机构类别" else text) for title, text in rows]
    if name is PaperName.PRODUCT_APPLICATION:
        lines = [(CATEGORIES[line["category"]], line["content"]) for line in values.get("scopes", ())]
        rows += [("服务大类", "服务内容"), *(lines or [("", "")] * EMPTY_LINES)]
    return _document(_heading(TITLES[name]), _table(rows), _paragraph(LETTER_NOTES[name]), *map(_paragraph, SEALED_BY))


def _choices(extra: Any) -> str:
    """□ before each choice, to tick by hand; an empty cell for what is written."""
    return "  ".join(f"□{choice['title']}" for choice in (extra or {}).get("x-choices", ()))


def _document(*blocks: str) -> bytes:
    body = f"{HEAD}<w:document {WORD}><w:body>{''.join(blocks)}{PAGE}</w:body></w:document>"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, text in (("[Content_Types].xml", CONTENT_TYPES), ("_rels/.rels", RELATIONS), ("word/document.xml", body)):
            archive.writestr(zipfile.ZipInfo(part, ZIP_EPOCH), text.encode(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _run(text: str, half_points: int, *, bold: bool = False) -> str:
    weight = "<w:b/>" if bold else ""
    font = '<w:rFonts w:eastAsia="SimSun" w:ascii="SimSun" w:hAnsi="SimSun"/>'
    return f'<w:r><w:rPr>{font}{weight}<w:sz w:val="{half_points}"/></w:rPr><w:t xml:space="preserve">{escape(text)}</w:t></w:r>'


def _heading(text: str) -> str:
    return f'<w:p><w:pPr><w:spacing w:after="360"/><w:jc w:val="center"/></w:pPr>{_run(text, 40, bold=True)}</w:p>'


def _paragraph(text: str) -> str:
    return f'<w:p><w:pPr><w:spacing w:before="120" w:line="420"/></w:pPr>{_run(text, 24)}</w:p>'


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = "".join(
        f'<w:tr><w:trPr><w:trHeight w:val="560"/></w:trPr>{_cell(title, 3200)}{_cell(choices, 5800)}</w:tr>' for title, choices in rows
    )
    return (
        f'<w:tbl><w:tblPr><w:tblW w:w="9000" w:type="dxa"/><w:tblBorders>{BORDERS}</w:tblBorders></w:tblPr>'
        f'<w:tblGrid><w:gridCol w:w="3200"/><w:gridCol w:w="5800"/></w:tblGrid>{lines}</w:tbl>'
    )


def _cell(text: str, width: int) -> str:
    return f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/></w:tcPr><w:p>{_run(text, 21)}</w:p></w:tc>'
