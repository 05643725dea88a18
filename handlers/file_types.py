"""What a file is, by its bytes; what may be uploaded where (E08-E10, C13).

A table of a dozen signatures, because the form allows eight kinds of file and a guess is worse than a refusal.
"""

import io
import unicodedata
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

HEAD_BYTES = 4096  # enough for every signature and the first name inside a zip
MEGABYTE = 1024 * 1024
PIXELS_MAX = 25_000_000  # a phone takes 12 Mpx, a scanner an A3 page of 17 Mpx; more is a bomb of some kind
NAME_MAX = 200
# Our own check comes before any decoding and has no "warn first" between its limit and twice of it.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True)
class FileType:
    """`image`: Pillow's name of the format, where it is a picture."""

    name: str
    media_type: str
    extensions: frozenset[str]
    image: str | None = None


def _type(name: str, media_type: str, *extensions: str, image: str | None = None) -> FileType:
    return FileType(name, media_type, frozenset(extensions or (name,)), image)


JPEG = _type("jpg", "image/jpeg", "jpg", "jpeg", image="JPEG")
PNG = _type("png", "image/png", image="PNG")
GIF = _type("gif", "image/gif", image="GIF")
WEBP = _type("webp", "image/webp", image="WEBP")
PDF = _type("pdf", "application/pdf")
RAR = _type("rar", "application/vnd.rar")
ZIP = _type("zip", "application/zip")
SEVEN_ZIP = _type("7z", "application/x-7z-compressed")
OLE = _type("ole", "application/x-ole-storage", "doc", "xls", "ppt", "wps", "et", "dps", "msi")
OFFICE = _type("office", "application/vnd.openxmlformats-officedocument", "docx", "xlsx", "pptx", "docm", "xlsm", "pptm")
OFD = _type("ofd", "application/ofd")
PACKAGE = _type("package", "application/octet-stream", "jar", "apk", "epub", "odt", "ods", "odp")

SIGNATURES = (
    (b"\xff\xd8\xff", JPEG), (b"\x89PNG\r\n\x1a\n", PNG), (b"GIF87a", GIF), (b"GIF89a", GIF), (b"%PDF-", PDF),
    (b"Rar!\x1a\x07\x00", RAR), (b"Rar!\x1a\x07\x01\x00", RAR), (b"7z\xbc\xaf\x27\x1c", SEVEN_ZIP),
    (b"PK\x03\x04", ZIP), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
)
# A document that is a zip inside starts with one of these names; it is not what "zip" means on a form.
INSIDE_ZIP = (
    ("[Content_Types].xml", OFFICE), ("_rels/", OFFICE), ("docProps/", OFFICE), ("word/", OFFICE), ("xl/", OFFICE),
    ("ppt/", OFFICE), ("OFD.xml", OFD), ("mimetype", PACKAGE), ("META-INF/", PACKAGE), ("AndroidManifest.xml", PACKAGE),
)


def sniff(head: bytes) -> FileType | None:
    """The type that the first HEAD_BYTES say, whatever the name is. None for what the table does not know."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    found = next((kind for signature, kind in SIGNATURES if head.startswith(signature)), None)
    if found is not ZIP:
        return found
    name = head[30:30 + int.from_bytes(head[26:28], "little")].decode("utf-8", "replace")
    return next((kind for start, kind in INSIDE_ZIP if name.startswith(start)), ZIP)


def is_sound_image(content: bytes, kind: FileType) -> bool:
    """Whether Pillow finds a whole picture of this format with at most PIXELS_MAX; reads the header before anything else."""
    try:
        with Image.open(io.BytesIO(content), formats=[str(kind.image)]) as image:
            if not 0 < image.width * image.height <= PIXELS_MAX:
                return False
            image.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return False
    return True


def extension(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def display_name(name: str) -> str:
    """The client's file name made harmless: no folders, no control or direction characters, at most 200 characters.

    U+202E makes `gpj.exe` read as `exe.jpg`; all of category Cc, Cf, Cs, Co, Cn go. The extension survives the cut.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    plain = "".join(letter for letter in last if not unicodedata.category(letter).startswith("C")).strip(" .")
    stem, dot, end = plain.rpartition(".")
    return plain if len(plain) <= NAME_MAX else f"{stem[:NAME_MAX - len(end) - 1]}{dot}{end}"[-NAME_MAX:]


@dataclass(frozen=True, slots=True)
class FileSlot:
    """A place for files on a form. Sizes in bytes, for each file. `has_template`: a paper to print, seal and scan (C16)."""

    name: str
    title: str
    types: tuple[FileType, ...]
    max_bytes: int
    max_files: int = 1
    has_template: bool = False

    def allows(self, kind: FileType | None, named: str) -> bool:
        """The content is of an allowed type, and the extension says the same."""
        return kind is not None and kind in self.types and named in kind.extensions

    @property
    def extensions(self) -> list[str]:
        return [name for kind in self.types for name in sorted(kind.extensions)]


DOCUMENTS = (JPEG, GIF, PNG, RAR, ZIP, SEVEN_ZIP, PDF)  # E08
PHOTOS = (JPEG, PNG)                                    # C13
# E08 names no size: a stamped ten-page scan at 300 dpi has 8-15 MB, and 20 MB pass a slow 4G link in twenty seconds.
DOCUMENT_BYTES = 20 * MEGABYTE


def _document(name: str, title: str, max_files: int = 1, *, has_template: bool = False) -> FileSlot:
    return FileSlot(name, title, DOCUMENTS, DOCUMENT_BYTES, max_files, has_template)


def _photos(name: str, title: str, max_files: int = 5) -> FileSlot:
    return FileSlot(name, title, PHOTOS, 2 * MEGABYTE, max_files)


def _paper(name: str, title: str, *, has_template: bool = True) -> FileSlot:
    return FileSlot(name, title, DOCUMENTS, 5 * MEGABYTE, has_template=has_template)


SLOTS: dict[str, FileSlot] = {slot.name: slot for slot in (
    _document("business_licence", "工商营业执照复印件"),
    _document("admission_form", "中小微企业入库申请表", has_template=True),
    _document("commitment_letter", "专项服务券使用承诺书", has_template=True),
    _document("social_insurance_proof", "近期社会保险参保缴费证明"),
    _document("tax_return", "上年度纳税申报表(非零)分页", max_files=5),
    _document("handover", "服务成果"),
    _document("invoice", "发票"),
    _document("evidence", "服务过程性材料", max_files=20),
    FileSlot("photo", "图片", PHOTOS, 2 * MEGABYTE),
    FileSlot("consultant_photo", "顾问照片", PHOTOS, 2 * MEGABYTE),
    _document("appeal", "申诉证明材料", max_files=10),
    _document("demand", "需求附件", max_files=5),
    FileSlot("contract", "合同协议附件", (PDF,), 5 * MEGABYTE),
    # The library of institutions (C05-C13).
    _photos("institution_picture", "机构图片", 3),
    _photos("institution_licence", "营业执照照片", 1),
    _paper("admission_letter", "入库申请书"),
    _paper("product_application", "可用券产品申请表"),
    _paper("recommendation_letter", "入库服务机构推荐表"),
    _photos("qualification_photos", "资质证明照片"),
    _photos("practice_photos", "执业证书照片"),
    _photos("other_photos", "其他证明照片"),
    _photos("ranking_photos", "行业排名照片"),
    _photos("business_photos", "业绩开展照片"),
    FileSlot("contracts", "合同协议附件", (PDF,), 5 * MEGABYTE, 5),
    _paper("client_list", "上年度服务企业名单", has_template=False),
    # The supermarket (D03, D17, D21).
    _photos("institution_logo", "机构标识", 1),
    _document("filing_evidence", "备案证明材料", max_files=10),
)}
