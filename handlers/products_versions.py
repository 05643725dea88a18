"""A later text of an approved product: it is written and reviewed while the approved one stays in force and listed (decision 0070).

The product's row is locked first, by everybody: it is the gate to its versions.
"""

from datetime import datetime
from typing import Any, TypedDict

from handlers import approvals
from handlers.approvals import Decision
from handlers.context import Context
from handlers.moves import move
from handlers.products_checks import require_publishable
from handlers.products_content import (
    ContentView,
    bring_into_force,
    check_content,
    in_force,
    link_pictures,
    pictures_of,
)
from handlers.refusals import ChangedMeanwhile
from handlers.transactions import Transaction, row
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.products import VERSION_GRAPH, VersionState

REVIEW_WORKING_DAYS = 3  # decision 0070


class VersionView(TypedDict):
    """A text that is not in force: `state` draft, in_review, or rejected with its `reason`."""

    number: int
    state: VersionState
    reason: str | None
    text: ContentView
    created_at: datetime


NUMBERS = """
SELECT max(number) AS last, max(number) FILTER (WHERE state <> 'superseded') AS newest FROM product_versions WHERE product_id = $1
"""
WAITING = "SELECT * FROM product_versions WHERE product_id = $1 AND state IN ('draft', 'in_review') FOR UPDATE"
INSERT = """
INSERT INTO product_versions (product_id, number, content, state, made_by_id, created_at, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
"""
# What an institution is shown beside the text in force: its newest one, unless that is in force itself or was given up.
NEWEST = """
SELECT * FROM product_versions v WHERE v.product_id = $1 AND v.number > $2 AND v.state <> 'superseded' ORDER BY v.number DESC LIMIT 1
"""


async def waiting_version(tx: Transaction, product_id: int) -> Any:
    """The draft or the submitted version, locked; or None."""
    return await tx.row(WAITING, product_id)


async def amend(ctx: Context, tx: Transaction, product: Any, version: int, content: ContentView) -> None:
    """Write a new text beside the one in force. One that was submitted leaves the queue for it.

    Raises ChangedMeanwhile, CategoryUnknown, DeductionNotAllowed, PictureUnknown.
    """
    waiting = await waiting_version(tx, product.id)
    numbers = await tx.row(NUMBERS, product.id)
    newest = max(product.version, numbers.newest or 0)  # what was given up is no text to start from
    if version != newest:
        raise ChangedMeanwhile(version=newest)
    following = max(product.version, numbers.last or 0) + 1
    await check_content(tx, product.organisation_id, content)
    if waiting is None:
        if content == await in_force(tx, product):
            return
        made = await tx.value(INSERT, product.id, following, content, VersionState.DRAFT.value, ctx.person_id, ctx.now, None)
        tx.record("product_version.created", "product_version", made, after=VersionState.DRAFT.value, product_id=product.id)
        return
    if waiting.state == VersionState.IN_REVIEW:
        await withdraw(tx, product.id, waiting)
    await tx.run("UPDATE product_versions SET content = $2, number = $3 WHERE id = $1", waiting.id, content, following)
    tx.record("product_version.edited", "product_version", waiting.id, number=following)


async def submit(ctx: Context, tx: Transaction, product: Any, waiting: Any) -> None:
    content = waiting.content
    await check_content(tx, product.organisation_id, content)
    await move(tx, VERSION_GRAPH, waiting, VersionState.IN_REVIEW)
    await put_before_reviewers(ctx, tx, product, content, waiting.number)


async def put_before_reviewers(ctx: Context, tx: Transaction, product: Any, content: ContentView, number: int) -> None:
    """Into the queue of the centre, with what the checker found. Raises what products_checks.require_publishable raises."""
    findings = await require_publishable(tx, product, content)
    await approvals.open_approval(
        tx, kind=ApprovalKind.PRODUCT, title=f"服务产品审核：{content['name']}"[:100], subject="product", subject_id=product.id,
        organisation_id=product.organisation_id, role=Role.CENTRE_REVIEWER, region_code=product.region_code, park_id=None,
        submitted_by=ctx.person_id, due_at=due_after(ctx.now, REVIEW_WORKING_DAYS), data={
            "version": number, "content": content, "before": await in_force(tx, product) if number != product.version else None,
            "findings": findings, "attachment_ids": pictures_of(content),
        },
    )


async def withdraw(tx: Transaction, product_id: int, waiting: Any) -> None:
    await move(tx, VERSION_GRAPH, waiting, VersionState.DRAFT)
    await approvals.withdraw_approval(tx, "product", product_id)


async def discard(tx: Transaction, product_id: int) -> bool:
    """Give up the text that waits, if one does; returns whether."""
    waiting = await waiting_version(tx, product_id)
    if waiting is None:
        return False
    await move(tx, VERSION_GRAPH, waiting, VersionState.SUPERSEDED, decided_at=tx.ctx.now)
    if waiting.state == VersionState.IN_REVIEW:
        await approvals.withdraw_approval(tx, "product", product_id)
    return True


async def decide(ctx: Context, tx: Transaction, product: Any, decision: Decision, reason: str | None) -> str:
    """Approve: in force at once, listed or not. Reject: nothing of the product changes. Returns the name it was submitted with."""
    waiting = await waiting_version(tx, product.id)
    name = str(waiting.content["name"])
    if decision is Decision.REJECT:
        await move(tx, VERSION_GRAPH, waiting, VersionState.REJECTED, reason=reason, decided_at=ctx.now)
        return name
    await supersede(tx, product.id)
    await move(tx, VERSION_GRAPH, waiting, VersionState.APPROVED, decided_at=ctx.now)
    await bring_into_force(tx, product.id, waiting.content, waiting.number)
    await link_pictures(tx, product, pictures_of(waiting.content), in_text=True)
    return name


async def supersede(tx: Transaction, product_id: int) -> None:
    """The text in force makes room for the next one."""
    old = await tx.row("SELECT * FROM product_versions WHERE product_id = $1 AND state = 'approved' FOR UPDATE", product_id)
    if old is not None:
        await move(tx, VERSION_GRAPH, old, VersionState.SUPERSEDED)


async def keep_first(ctx: Context, tx: Transaction, product: Any, submitted_by: int) -> None:
    """The first text of a product is written in its own row; when it is approved it becomes the first of its versions."""
    content = await in_force(tx, product)
    made = await tx.value(
        INSERT, product.id, product.version, content, VersionState.APPROVED.value, submitted_by, ctx.now, ctx.now
    )
    tx.record("product_version.kept", "product_version", made, after=VersionState.APPROVED.value, product_id=product.id)
    await link_pictures(tx, product, pictures_of(content), in_text=True)


async def newest_view(product: Any) -> VersionView | None:
    found = await row(NEWEST, product.id, product.version)
    if found is None:
        return None
    return {
        "number": found.number, "state": VersionState(found.state), "reason": found.reason, "text": found.content,
        "created_at": found.created_at,
    }
