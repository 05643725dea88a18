"""Rich introductions: pictures, tables and links in an institution's own words, safe to draw on any page (C21).

What an institution sends is never stored. It is parsed and written anew by ammonia (nh3) from a list of what is allowed, so what
nobody thought of is not there. Pictures are the institution's own attachments and nothing else: no page of ours tells another
server who looks at it.
"""

import html as entities
import re
from dataclasses import dataclass

import nh3

PICTURE_PATH = "/api/v1/pictures/"
# How an editor may name an attachment; all of them become PICTURE_PATH + id.
PICTURE = re.compile(r"(?:attachment:|/api/v1/attachments/|/api/v1/pictures/)([1-9][0-9]{0,17})")
WEB = re.compile(r"https://[^\s\x00-\x20\"'<>\\]+")
TAGS = frozenset({
    "p", "br", "hr", "h3", "h4", "h5", "h6", "strong", "b", "em", "i", "u", "s", "sub", "sup", "blockquote", "ul", "ol", "li",
    "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "a", "img", "span", "div",
})
ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"},
              "ol": {"start"}}
# Their text is not words for people: it goes with them.
WITH_CONTENT = frozenset({"script", "style", "template", "noscript", "iframe", "object", "title", "textarea", "svg", "math", "xmp"})
SPAN_MAX = 50  # cells; a table of a thousand columns stops a phone
NUMBERS = {"colspan", "rowspan", "start"}
# ammonia writes > as &gt; and " as &quot; inside attributes, so what stands between them is a tag.
NAMELESS = re.compile(r'<img(?![^>]* src=")[^>]*>')
SHOWN = re.compile(r'<img[^>]* src="' + re.escape(PICTURE_PATH) + r'([0-9]+)"')
BREAKS = re.compile(r"<(?:br|hr|/p|/h[3-6]|/li|/tr|/div|/blockquote|/caption)\b[^>]*>")
ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#[0-9]{1,7});")
CELLS = re.compile("</t[dh]>")


@dataclass(frozen=True, slots=True)
class RichText:
    """`html` is safe to draw; `text` is what it says, a line for each block; `picture_ids` are attachments, in their order."""

    html: str
    text: str
    picture_ids: tuple[int, ...]


def rich_text(written: str) -> RichText:
    """Whatever somebody wrote, made safe; made safe again it is the same, because editors send back what they were given.

    What has neither a tag nor an entity is a plain text: its lines stay lines, its `<` a `<`.
    """
    if _is_rich(written):
        safe = NAMELESS.sub("", _CLEANER.clean(written)).strip()
        if not _is_rich(safe):  # nothing of its mark-up was allowed: what were spaces must not become lines the next time
            safe = " ".join(safe.split())
    else:
        safe = entities.escape(written.strip(), quote=False).replace("\r\n", "\n").replace("\n", "<br>")
    return RichText(safe, plain(safe), tuple(dict.fromkeys(int(number) for number in SHOWN.findall(safe))))


def _is_rich(written: str) -> bool:
    return bool(nh3.is_html(written) or ENTITY.search(written))


def plain(safe: str) -> str:
    """The words of a text that `rich_text` has made."""
    lines = nh3.clean(CELLS.sub(" ", BREAKS.sub("\n", safe)), tags=set())
    return "\n".join(stripped for line in entities.unescape(lines).splitlines() if (stripped := " ".join(line.split())))


def _attribute(tag: str, name: str, value: str) -> str | None:
    """None takes the attribute away."""
    if name == "src":
        found = PICTURE.fullmatch(value.strip()) if tag == "img" else None
        return f"{PICTURE_PATH}{found[1]}" if found else None
    if name == "href":
        return value.strip() if WEB.fullmatch(value.strip()) else None
    if name in NUMBERS:
        return value if value.isascii() and value.isdigit() and 1 <= int(value[:4]) <= SPAN_MAX else None
    return value[:200]


_CLEANER = nh3.Cleaner(
    tags=set(TAGS), clean_content_tags=set(WITH_CONTENT), attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    attribute_filter=_attribute, url_schemes={"https", "attachment"}, link_rel="noopener noreferrer nofollow",
)
