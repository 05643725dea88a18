"""Files that people upload: streamed in, known by their content, given only to who may see them (E08-E10, C13).

A file's row is written before its bytes and says `stored` only after them; whatever falls in between is swept up a day later.
The bytes are kept as they came, because they are evidence; so they are never rendered, only downloaded.
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict

import structlog

from handlers.approvals import REACH, reach_of
from handlers.attachments_purging import AGAIN_AFTER, purge
from handlers.context import Context
from handlers.file_types import HEAD_BYTES, SLOTS, FileSlot, FileType, display_name, extension, is_sound_image, sniff
from handlers.moves import move
from handlers.refusals import Busy, Kind, NotFound, NotYourRole, Refusal, StorageAway
from handlers.transactions import row, rows, transaction
from models.accounts import Role
from models.attachments import ATTACHMENT_GRAPH, AttachmentState

log = structlog.get_logger(__name__)

UNUSED_MAX = 50  # files of an organisation that are on no form: a person who tries does not reach it, a loop does
CONSULTANT_SLOTS = frozenset({"filing_evidence"})  # what a consultant, who is of nobody's staff, hands in for the institution
LOOKING = asyncio.Semaphore(2)  # pictures in memory at a time, of 20 MB at most: a process lives with 150 MB
UNFINISHED_AFTER = timedelta(hours=24)  # no upload takes as long; a storage that was away for a night is back


class FileSlotUnknown(Refusal):
    kind, code, title = Kind.INVALID, "file_slot_unknown", "没有这一项附件"


class FileTypeRefused(Refusal):
    """`data.allowed`: the extensions of the slot. Also for a name that says another type than the content is."""

    kind, code, title = Kind.INVALID, "file_type_refused", "文件类型不符合要求，或与扩展名不一致"


class FileTooLarge(Refusal):
    """`data.max_bytes`."""

    kind, code, title = Kind.INVALID, "file_too_large", "文件过大"


class FileEmpty(Refusal):
    kind, code, title = Kind.INVALID, "file_empty", "文件是空的"


class FileBroken(Refusal):
    """A picture that is cut off, damaged, or of more than 25 million pixels."""

    kind, code, title = Kind.INVALID, "file_broken", "图片已损坏或尺寸过大"


class TooManyFiles(Refusal):
    kind, code, title = Kind.CONFLICT, "too_many_files", "未使用的附件过多，请先删除"


class FileInUse(Refusal):
    kind, code, title = Kind.CONFLICT, "file_in_use", "该附件已用于申请，不能删除"


class AttachmentView(TypedDict):
    """`size` in bytes, `sha256` in hex."""

    id: int
    slot: str
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a download needs; `chunks` raises FileNotFoundError at its first step if the storage has lost it."""

    name: str
    media_type: str
    size: int
    chunks: AsyncIterator[bytes]


# $4 the acting organisation, $5 the attachment, $6 the acting membership. Whoever may not see it finds nothing: its organisation's
# members, the other side of the order it was handed over for, reviewers of an application, a product or a dispute that it belongs
# to, and institutions that have opened its demand. A consultant acts for the institution without being of it: its licences,
# contracts and accounts are not for them, only what they filed and what is addressed to them.
VISIBLE = f"""
SELECT f.* FROM attachments f
WHERE f.id = $5 AND f.state = 'stored' AND (
  f.organisation_id = $4 AND $1 IS DISTINCT FROM 'consultant'
  OR $1 IS DISTINCT FROM 'consultant' AND EXISTS (
    SELECT 1 FROM handovers h JOIN orders d ON d.id = h.order_id
    WHERE h.attachment_id = f.id AND $4 IN (d.enterprise_id, d.institution_id)
  )
  OR $1 IS DISTINCT FROM 'consultant' AND EXISTS (
    SELECT 1 FROM contracts c JOIN orders d ON d.id = c.order_id
    WHERE c.attachment_id = f.id AND $4 IN (d.enterprise_id, d.institution_id)
  )
  OR EXISTS (
    SELECT 1 FROM application_files l JOIN approvals a ON a.subject = 'application' AND a.subject_id = l.application_id
    WHERE l.attachment_id = f.id AND a.state <> 'withdrawn' AND {REACH}
  )
  OR EXISTS (
    SELECT 1 FROM handovers h JOIN approvals a ON a.subject = 'order' AND a.subject_id = h.order_id
    WHERE h.attachment_id = f.id AND a.state <> 'withdrawn' AND {REACH}
  )
  OR EXISTS (
    SELECT 1 FROM (SELECT redemption_id FROM redemption_files WHERE attachment_id = f.id
                   UNION SELECT redemption_id FROM invoices WHERE attachment_id = f.id) used
    JOIN approvals a ON a.subject = 'redemption' AND a.subject_id = used.redemption_id
    WHERE a.state <> 'withdrawn' AND {REACH}
  )
  OR EXISTS (
    SELECT 1 FROM demand_files n JOIN demand_responses r ON r.demand_id = n.demand_id JOIN demands d ON d.id = n.demand_id
    LEFT JOIN consultants c ON c.id = d.consultant_id AND c.state = 'active'
    WHERE n.attachment_id = f.id AND r.institution_id = $4 AND r.viewed_at IS NOT NULL
      AND ($1::text IS DISTINCT FROM 'consultant' OR c.membership_id = $6)
      AND NOT EXISTS (SELECT 1 FROM content_checks k WHERE k.subject = 'demand' AND k.subject_id = d.id AND k.state <> 'passed')
  )
  OR EXISTS (
    SELECT 1 FROM filing_files g JOIN filings w ON w.id = g.filing_id JOIN consultants c ON c.id = w.consultant_id
    WHERE g.attachment_id = f.id AND $1::text = 'consultant' AND w.institution_id = $4 AND c.membership_id = $6
  )
  OR EXISTS (
    SELECT 1 FROM approvals a WHERE a.organisation_id = f.organisation_id AND a.data -> 'attachment_ids' @> to_jsonb(f.id)
      AND a.state <> 'withdrawn' AND {REACH}
  )
)
"""
INSERT = """
INSERT INTO attachments (organisation_id, uploaded_by_id, slot, display_name, storage_key, state, created_at)
VALUES ($1, $2, $3, $4, $5, 'uploading', $6) RETURNING *
"""
# What a file can be part of by a row of its own.
KEEPERS = ("application_files", "handovers", "contracts", "redemption_files", "invoices", "appeal_files", "draw_objection_files",
           "demand_files", "filing_files", "pictures")
UNUSED = " AND ".join((
    "SELECT count(*) AS unused FROM attachments f WHERE f.organisation_id = $1 AND f.state <> 'deleted' AND f.slot <> 'consultant_photo'",
    *(f"NOT EXISTS (SELECT 1 FROM {table} k WHERE k.attachment_id = f.id)" for table in KEEPERS),
))
# On a form now, handed over, or part of what was once submitted: it is evidence and stays.
USED = "SELECT " + " OR ".join((
    *(f"EXISTS (SELECT 1 FROM {table} WHERE attachment_id = $1)" for table in KEEPERS),
    "EXISTS (SELECT 1 FROM consultants WHERE photo_id = $1)",
    "EXISTS (SELECT 1 FROM approvals WHERE organisation_id = $2 AND data -> 'attachment_ids' @> to_jsonb($1::bigint))",
))
UNFINISHED = "SELECT id, storage_key FROM attachments WHERE state = 'uploading' AND created_at <= $1 ORDER BY created_at LIMIT $2"


@dataclass
class _Reading:
    """What is learnt of a file while it passes."""

    max_bytes: int
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    async def pass_on(self, head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield self._seen(head)
        async for chunk in rest:
            yield self._seen(chunk)

    def _seen(self, chunk: bytes) -> bytes:
        self.size += len(chunk)
        if self.size > self.max_bytes:
            raise FileTooLarge(max_bytes=self.max_bytes)
        self.digest.update(chunk)
        return chunk


async def upload(ctx: Context, slot_name: str, file_name: str, chunks: AsyncIterator[bytes]) -> AttachmentView:
    """Take in a file for a slot. Raises FileSlotUnknown, FileTypeRefused, FileTooLarge, FileEmpty, FileBroken, TooManyFiles,
    StorageAway.
    """
    if ctx.actor.role is Role.VIEWER or (ctx.actor.role is Role.CONSULTANT and slot_name not in CONSULTANT_SLOTS):
        raise NotYourRole
    if (slot := SLOTS.get(slot_name)) is None:
        raise FileSlotUnknown
    if (await row(UNUSED, ctx.organisation_id)).unused >= UNUSED_MAX:
        raise TooManyFiles(max=UNUSED_MAX)
    name = display_name(file_name)
    head = await _head(chunks)
    kind = _checked_type(slot, name, head)
    attachment = await _announce_bytes(ctx, slot, name)
    reading = _Reading(slot.max_bytes)
    try:
        await ctx.ports.storage.put(attachment.storage_key, reading.pass_on(head, chunks))
        await _look_at(ctx, attachment, kind)
    except StorageAway:
        raise  # it cannot be asked to forget either: the sweep does it a day later
    except Refusal:
        await _give_up(ctx, attachment)
        raise
    return await _finish(ctx, attachment.id, kind, reading)


async def _head(chunks: AsyncIterator[bytes]) -> bytes:
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    if not head:
        raise FileEmpty
    return head


def _checked_type(slot: FileSlot, name: str, head: bytes) -> FileType:
    kind = sniff(head[:HEAD_BYTES])
    if kind is None or not slot.allows(kind, extension(name)):
        raise FileTypeRefused(allowed=slot.extensions)
    return kind


async def _look_at(ctx: Context, attachment: Any, kind: FileType) -> None:
    """A picture is read back as a whole, for Pillow; any other file is never in memory as a whole. Raises FileBroken."""
    if kind.image is None:
        return
    async with LOOKING:
        content = b"".join([chunk async for chunk in ctx.ports.storage.get(attachment.storage_key)])
        if not await asyncio.to_thread(is_sound_image, content, kind):
            raise FileBroken


async def _announce_bytes(ctx: Context, slot: FileSlot, name: str) -> Any:
    async with transaction(ctx) as tx:
        key = f"{ctx.now:%Y/%m}/{uuid.uuid4().hex}"
        attachment = await tx.row(INSERT, ctx.organisation_id, ctx.person_id, slot.name, name, key, ctx.now)
        tx.record("attachment.begun", "attachment", attachment.id, after="uploading", slot=slot.name)
        return attachment


async def _finish(ctx: Context, attachment_id: int, kind: FileType, reading: _Reading) -> AttachmentView:
    async with transaction(ctx) as tx:
        attachment = await tx.row("SELECT * FROM attachments WHERE id = $1 FOR UPDATE", attachment_id)
        stored = await move(
            tx, ATTACHMENT_GRAPH, attachment, AttachmentState.STORED, media_type=kind.media_type, size=reading.size,
            sha256=reading.digest.digest(),
        )
        return tx.reply(view(stored))


async def _give_up(ctx: Context, attachment: Any) -> bool:
    """Bytes first: nobody was told of them, so nothing is lost by trying again. False if somebody else has given it up meanwhile."""
    await ctx.ports.storage.delete(attachment.storage_key)
    async with transaction(ctx) as tx:
        waiting = await tx.row("SELECT * FROM attachments WHERE id = $1 AND state = 'uploading' FOR UPDATE", attachment.id)
        if waiting is not None:
            await move(tx, ATTACHMENT_GRAPH, waiting, AttachmentState.DELETED, purged_at=ctx.now)
    return waiting is not None


async def delete(ctx: Context, attachment_id: int) -> AttachmentView:
    """Remove an own file that was never submitted; its bytes go now, or when the storage is back. Raises NotFound, FileInUse."""
    if ctx.actor.role is Role.VIEWER:
        raise NotYourRole
    async with transaction(ctx) as tx:
        attachment = await tx.row(
            "SELECT * FROM attachments WHERE id = $1 AND organisation_id = $2 AND state = 'stored' FOR UPDATE",
            attachment_id, ctx.organisation_id,
        )
        if attachment is None:
            raise NotFound
        if await tx.value(USED, attachment_id, ctx.organisation_id):
            raise FileInUse
        deleted = await move(tx, ATTACHMENT_GRAPH, attachment, AttachmentState.DELETED, purge_at=ctx.now + AGAIN_AFTER)
        answer = tx.reply(view(deleted))
    # After the commit: a crash here leaves bytes that nobody can reach, never a row whose bytes are gone.
    try:
        await purge(ctx, attachment)
    except (StorageAway, Busy) as away:
        log.warning("purge_late", attachment_id=attachment_id, reason=away.code)  # it is deleted; the sweep sees to the rest
    return answer


async def open_file(ctx: Context, attachment_id: int) -> StoredFile:
    """Raises NotFound for what is not there, not finished, or not for this person."""
    found = await row(VISIBLE, *reach_of(ctx.actor), ctx.actor.organisation_id, attachment_id, ctx.actor.membership_id)
    if found is None:
        raise NotFound
    return StoredFile(found.display_name, found.media_type, found.size, ctx.ports.storage.get(found.storage_key))


async def purge_unfinished(ctx: Context, limit: int = 100) -> int:
    """Sweep: remove what a crash or a lost connection left half-way more than 24 hours ago. Returns how many."""
    abandoned = await rows(UNFINISHED, ctx.now - UNFINISHED_AFTER, limit)
    return sum([await _give_up(ctx, attachment) for attachment in abandoned])


def view(attachment: Any) -> AttachmentView:
    return {
        "id": attachment.id, "slot": attachment.slot, "name": attachment.display_name, "media_type": attachment.media_type,
        "size": attachment.size, "sha256": attachment.sha256.hex(), "created_at": attachment.created_at,
    }
