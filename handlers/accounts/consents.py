"""The agreement of an order; and the privacy text, with who agreed to it before a value of theirs was stored (E28; PIPL 14, 17)."""

import re
from functools import cache
from typing import TypedDict

from handlers.context import Context
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, transaction
from settings import ROOT

PRIVACY = "privacy"
AGREED = "SELECT true AS yes FROM consents WHERE person_id = $1 AND document = $2 AND version = $3"


class ConsentNeeded(Refusal):
    """`data`: the document and version to show; agree, then do the same again."""

    kind, code, title = Kind.FORBIDDEN, "consent_needed", "请先阅读并同意《隐私政策》"


class ConsentOutdated(Refusal):
    """`data`: the document and version that are in force."""

    kind, code, title = Kind.CONFLICT, "consent_outdated", "《隐私政策》已更新，请阅读新版本后再同意"


class DocumentView(TypedDict):
    """`text` is Markdown."""

    document: str
    version: str
    text: str


class ConsentView(TypedDict):
    document: str
    version: str


@cache
def text_in_force(document: str) -> DocumentView:
    """docs/<document>.md. Its version stands in the text itself, so neither can change without the other being looked at."""
    text = (ROOT / "docs" / f"{document}.md").read_text(encoding="utf-8")
    found = re.search(r"^版本：(\S+)$", text, re.MULTILINE)
    assert found, f"docs/{document}.md has no line 版本：…"
    return {"document": document, "version": found[1], "text": text}


def privacy() -> DocumentView:
    return text_in_force(PRIVACY)


def agreement() -> DocumentView:
    """《专项服务券交易协议》, which an order is placed under (E28)."""
    return text_in_force("agreement")


async def agree(ctx: Context, document: str, version: str) -> ConsentView:
    """Record that the person agreed; agreeing twice is agreeing once. Raises ConsentOutdated."""
    current = privacy()
    if (document, version) != (current["document"], current["version"]):
        raise ConsentOutdated(document=current["document"], version=current["version"])
    async with transaction(ctx) as tx:
        made = await tx.value(
            "INSERT INTO consents (person_id, document, version, agreed_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (person_id, document, version) DO NOTHING RETURNING id", ctx.person_id, document, version, ctx.now,
        )
        if made is not None:
            tx.record("consent.given", "consent", made, document=document, version=version)
        return tx.reply(ConsentView(document=document, version=version))


async def require_consent(tx: Transaction) -> None:
    """Called before a personal value is stored. Raises ConsentNeeded."""
    current = privacy()
    if not await tx.value(AGREED, tx.ctx.person_id, current["document"], current["version"]):
        raise ConsentNeeded(document=current["document"], version=current["version"])


async def require_consent_before_asking(ctx: Context) -> None:
    """The same outside a transaction, for a use-case that first asks a platform for the value. Raises ConsentNeeded."""
    current = privacy()
    if await row(AGREED, ctx.person_id, current["document"], current["version"]) is None:
        raise ConsentNeeded(document=current["document"], version=current["version"])
