"""Sending notices: claimed with a lease, one after the other for each person, retried for 48 hours, then shown as dead (F23).

A delivery is claimed in one statement, sent outside any transaction, and its outcome written in one statement. A worker that is
killed in between leaves a lease that ends: nothing is lost, and at most what it had in flight goes out twice.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict

import orjson
import structlog

from handlers.context import Context
from handlers.notice_plans import held_until
from handlers.notice_texts import render
from handlers.paging import Page, PageView, page_of
from handlers.personal import open_sealed
from handlers.ports import Message, Outcome, Sender, SendResult
from handlers.refusals import Busy
from handlers.transactions import changed, rows, transaction
from models.notices import DELIVERY_GRAPH, Channel, DeliveryState

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
SEND_SECONDS = 30  # token, send, a new token and again, each with its own time-out: half of the lease
OVER = SendResult(Outcome.RETRY, error="over", about_reader=True)
QUIET = SendResult(Outcome.RETRY, error="quiet hours", about_reader=True)
BACKOFF_SECONDS, BACKOFF_SECONDS_MAX = 5, 3_600
ERROR_CHARACTERS_MAX = 200
SETTLE_PAUSES_SECONDS = (0.1, 0.5, 2, 5)  # together with the sends still well within the lease

# A platform forgets the result of a notice after a day, and each question is paid for out of a monthly number of calls.
RECEIPTS_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 6, 36, 396))
RECEIPTS_END = timedelta(hours=24)

# Only the oldest unfinished delivery of a person may go: so a person reads things in their order, and a platform that refuses
# two messages to one user at once (43108) never gets them.
# coalesce, since `<> ALL` of an array that is not known yet is planned as if it let nothing through: then each claim sorts all
# that is due, thirty times slower with five thousand waiting, instead of taking the first few of the index.
CLAIM = """
WITH chosen AS (
  SELECT d.id FROM deliveries d
  WHERE d.state = 'planned' AND d.due_at <= $1 AND NOT coalesce(d.channel = ANY($4::text[]), false) AND NOT EXISTS (
    SELECT FROM deliveries before WHERE before.person_id = d.person_id AND before.state IN ('planned', 'sending')
      AND (before.notice_id, before.step) < (d.notice_id, d.step)
  )
  ORDER BY d.due_at, d.notice_id LIMIT $2 FOR UPDATE SKIP LOCKED
), taken AS (
  UPDATE deliveries d SET state = 'sending', leased_until = $3, attempts = d.attempts + 1 FROM chosen WHERE d.id = chosen.id
  RETURNING d.*
)
SELECT taken.*, n.kind, n.title, n.body, n.page, n.data->'fields' AS fields, i.id AS identity_id, i.open_id,
  n.data->'quiet' AS quiet, (n.data->>'ends_at')::timestamptz AS ends_at,
  CASE WHEN taken.secrets IS NOT NULL THEN n.data END AS data, n.created_at,
  coalesce(taken.address, CASE taken.channel WHEN 'email' THEN p.email WHEN 'sms' THEN p.phone END) AS sealed_address
FROM taken JOIN notices n ON n.id = taken.notice_id LEFT JOIN persons p ON p.id = taken.person_id
LEFT JOIN LATERAL (
  SELECT id, open_id FROM identities
  WHERE person_id = taken.person_id AND platform = CASE taken.channel
    WHEN 'wechat_subscribe' THEN 'wechat' WHEN 'wechat_oa_template' THEN 'wechat_oa' ELSE 'dingtalk' END
  ORDER BY id DESC LIMIT 1
) i ON true
ORDER BY taken.notice_id
"""
# $8 is the state that all of them are in. The number of attempts is the fence: whoever lost the lease writes nothing.
# One statement also plans the next channel, keeps the ledger of consents, and lets those behind a retry wait with it. A state that the
# planner sees looks rare, and worth a new plan each time, which takes longer than all of this; asked for, it leaves one to be kept.
SETTLE = """
WITH result AS (
  SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[])
  AS r(id, attempt, state, due_at, give_up_at, provider_id, error)
), settled AS (
  UPDATE deliveries d SET state = r.state, due_at = coalesce(r.due_at, d.due_at), give_up_at = coalesce(r.give_up_at, d.give_up_at),
    provider_id = coalesce(r.provider_id, d.provider_id), error = r.error, leased_until = NULL,
    finished_at = CASE WHEN r.state IN ('planned', 'accepted', 'held') THEN NULL ELSE $9::timestamptz END
  FROM result r WHERE d.id = r.id AND d.state = (SELECT $8::text) AND d.attempts = r.attempt
  RETURNING d.*
), following AS (
  INSERT INTO deliveries (notice_id, person_id, step, channel, state, attempts, due_at, give_up_at)
  SELECT s.notice_id, s.person_id, s.step + 1, n.data->'channels'->>s.step, 'planned', 0, $9,
    least($10::timestamptz, (n.data->>'ends_at')::timestamptz)
  FROM settled s JOIN notices n ON n.id = s.notice_id
  WHERE s.state IN ('no_consent', 'failed') AND n.superseded_at IS NULL AND n.data->'channels'->>s.step IS NOT NULL
  ON CONFLICT (notice_id, step) DO NOTHING
), counted AS (
  UPDATE subscriptions c SET remaining = CASE s.state WHEN 'delivered' THEN greatest(c.remaining - 1, 0) ELSE 0 END, updated_at = $9
  FROM settled s JOIN notices n ON n.id = s.notice_id
  WHERE s.channel = 'wechat_subscribe' AND s.state IN ('delivered', 'no_consent') AND c.template = n.kind
    AND c.identity_id = (SELECT max(i.id) FROM identities i WHERE i.person_id = s.person_id AND i.platform = 'wechat')
), behind AS (
  UPDATE deliveries b SET due_at = s.due_at FROM settled s
  WHERE s.state = 'planned' AND b.person_id = s.person_id AND b.state = 'planned' AND b.due_at < s.due_at
)
SELECT count(*) AS settled, count(*) FILTER (WHERE state = 'dead') AS dead FROM settled
"""
# A delivery whose every worker dies would come back for ever: after its 48 hours it is dead like any other.
RELEASE = """
UPDATE deliveries d SET
  state = CASE WHEN d.give_up_at <= $1 THEN 'dead' ELSE 'planned' END, leased_until = NULL,
  error = 'lease expired', finished_at = CASE WHEN d.give_up_at <= $1 THEN $1 END
FROM (
  SELECT id FROM deliveries WHERE state = 'sending' AND leased_until <= $1 ORDER BY leased_until LIMIT $2 FOR UPDATE SKIP LOCKED
) expired WHERE d.id = expired.id
"""
# The next question is put off before the first is asked, so two machines do not ask the same; $3 is when a lost answer is
# missed. `give_up_at` of an accepted delivery is a day after it was accepted.
ASK = """
UPDATE deliveries d SET due_at = $3 FROM (
  SELECT id FROM deliveries WHERE state = 'accepted' AND due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
) due WHERE d.id = due.id RETURNING d.*
"""
S = DeliveryState
for _edge in ((S.PLANNED, S.SENDING), (S.SENDING, S.PLANNED), (S.SENDING, S.DEAD)):
    DELIVERY_GRAPH.event(*_edge)  # what CLAIM and RELEASE walk; `settle` asks for each outcome


@dataclass(slots=True)
class Pauses:
    """Channels of this process that rest: the platform shut us out, or has answered nothing useful for a while.

    Without it a platform that is down would hold every worker in time-outs while the other platform's messages wait.
    """

    until: dict[str, datetime] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    LIMIT = 10  # retries in a row
    REST = timedelta(seconds=30)
    LONG_SECONDS = 30  # who asks for so much speaks of us, not of one person

    def resting(self, now: datetime) -> list[str]:
        return [channel for channel, until in self.until.items() if now < until]

    def note(self, channel: str, result: SendResult, now: datetime) -> None:
        if result.about_reader:
            return
        if result.outcome is not Outcome.RETRY:
            self.failures[channel] = 0
            return
        self.failures[channel] = self.failures.get(channel, 0) + 1
        if result.retry_after_seconds >= self.LONG_SECONDS:
            self.until[channel] = now + timedelta(seconds=result.retry_after_seconds)
        elif self.failures[channel] >= self.LIMIT:
            self.until[channel], self.failures[channel] = now + self.REST, 0


async def deliver_due(ctx: Context, limit: int = 50, pauses: Pauses | None = None) -> int:
    """Claim up to `limit` due deliveries, send them side by side, write what became of them. Returns how many were claimed.

    `limit` bounds what is in flight, and with it what goes out twice if the process is killed now.
    """
    pauses = pauses or Pauses()
    claimed = await changed(CLAIM, ctx.now, limit, ctx.now + LEASE, pauses.resting(ctx.now))
    if claimed:
        results = await _in_time([_send(ctx, delivery) for delivery in claimed])
        for delivery, result in zip(claimed, results, strict=True):
            pauses.note(delivery.channel, result, ctx.now)
        await _settle_surely(ctx, list(zip(claimed, results, strict=True)))
    return len(claimed)


async def _in_time(sends: Sequence[Coroutine[Any, Any, SendResult]]) -> list[SendResult]:
    """Side by side, each for SEND_SECONDS at most: one clock for all of them, since they begin together."""
    tasks = [asyncio.ensure_future(send) for send in sends]
    try:
        _, late = await asyncio.wait(tasks, timeout=SEND_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
    finally:
        for task in tasks:
            task.cancel()
    return [SendResult(Outcome.RETRY, error="timeout") if task.cancelled() else task.result() for task in tasks]


async def _settle_surely(ctx: Context, results: Sequence[tuple[Any, SendResult]]) -> None:
    """These messages are out: a database that is busy for a moment must not make them go out again."""
    for pause_seconds in (*SETTLE_PAUSES_SECONDS, None):
        try:
            await settle(ctx, DeliveryState.SENDING, results)
        except Busy:
            if pause_seconds is None:
                raise
            await asyncio.sleep(pause_seconds)
        else:
            return


async def _send(ctx: Context, delivery: Any) -> SendResult:
    if is_over(ctx.now, delivery):
        return OVER
    if held_until(ctx.now, delivery["quiet"], delivery["ends_at"]) is not None:
        return QUIET  # it waited for another, or for a platform, until the evening
    sender = ctx.ports.senders.get(delivery["channel"])
    if sender is None:
        return SendResult(Outcome.REFUSED, error="no such channel")
    return await answer_of(_hand_over(ctx, sender, delivery), delivery)


async def _hand_over(ctx: Context, sender: Sender, delivery: Any) -> SendResult:
    """Within `answer_of`: an address that does not open any more is one message's trouble too."""
    message = message_of(ctx, delivery)
    return SendResult(Outcome.REFUSED, error="no identity on this platform") if message is None else await sender.send(message)


def message_of(ctx: Context, delivery: Any) -> Message | None:
    """What goes out, with the address opened and the secrets in their places; None where the reader cannot be reached here."""
    # By index, as in lists: a thousand of them go out in a second.
    by_address = delivery["channel"] in (Channel.EMAIL, Channel.SMS)
    sealed = delivery["sealed_address"] if by_address else None
    to = open_sealed(ctx.settings, sealed) if sealed else None if by_address else delivery["open_id"]
    if to is None:
        return None
    kind, number = delivery["kind"], f"N{delivery['notice_id']}"
    if delivery["secrets"]:
        of, secrets = delivery["data"], orjson.loads(open_sealed(ctx.settings, delivery["secrets"]))
        text = render(kind, of["subject"], of["subject_id"], {**of["facts"], **secrets}, delivery["created_at"])
        return Message(kind, to, text.title, text.body, text.page, text.fields, number, ctx.now)
    return Message(kind, to, delivery["title"], delivery["body"], delivery["page"], delivery["fields"], number, ctx.now)


async def answer_of(call: Any, delivery: Any) -> SendResult:
    """The result, whatever happens: one message that breaks its sender must not take the batch with it."""
    try:
        result: SendResult = await call
    except TimeoutError:
        return SendResult(Outcome.RETRY, error="timeout")
    except Exception as error:
        log.exception("sender_broke", channel=delivery.channel, kind=type(error).__name__)
        return SendResult(Outcome.RETRY, error=type(error).__name__)
    return result


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a delivery becomes; null leaves the column as it is."""

    state: DeliveryState
    due_at: datetime | None = None
    give_up_at: datetime | None = None


def is_over(now: datetime, delivery: Any) -> bool:
    return delivery["ends_at"] is not None and delivery["ends_at"] <= now


def verdict(now: datetime, delivery: Any, result: SendResult) -> Verdict:
    match result.outcome:
        case Outcome.DELIVERED:
            return Verdict(S.DELIVERED)
        case Outcome.ACCEPTED:
            return Verdict(S.ACCEPTED, now + RECEIPTS_AFTER[0], now + RECEIPTS_END)
        case Outcome.NO_CONSENT:
            return Verdict(S.NO_CONSENT)
        case Outcome.REFUSED:
            return Verdict(S.FAILED)
        case Outcome.RETRY if is_over(now, delivery):
            return Verdict(S.SUPERSEDED)
        case Outcome.RETRY if (morning := held_until(now, delivery.quiet, delivery.ends_at)) is not None:
            return Verdict(S.HELD, morning)
        case Outcome.RETRY if delivery.give_up_at <= now:
            return Verdict(S.DEAD)
        case Outcome.RETRY:
            # The last attempt is made exactly when the 48 hours are over.
            wait = max(backoff_seconds(delivery.id, delivery.attempts), result.retry_after_seconds)
            return Verdict(S.PLANNED, min(now + timedelta(seconds=wait), delivery.give_up_at))


def backoff_seconds(delivery_id: int, attempts: int) -> float:
    """5 s, 10 s, 20 s ... an hour, each up to a fifth more: a thousand messages that failed together do not return together."""
    jitter = (delivery_id * 2_654_435_761 % 2**32) / 2**32
    return min(BACKOFF_SECONDS * 2.0 ** min(attempts - 1, 20), BACKOFF_SECONDS_MAX) * (1 + jitter / 5)


def receipt_verdict(now: datetime, delivery: Any, result: SendResult) -> Verdict:
    """Silence to the end counts as failed: the next channel may then tell the person twice, which is better than never."""
    if result.outcome is Outcome.DELIVERED:
        return Verdict(S.DELIVERED)
    accepted_at = delivery.give_up_at - RECEIPTS_END
    following = next((accepted_at + after for after in RECEIPTS_AFTER if accepted_at + after > now), None)
    if result.outcome is Outcome.RETRY and following is not None:
        return Verdict(S.ACCEPTED, following)
    return Verdict(S.FAILED)


async def settle(ctx: Context, state: DeliveryState, results: Sequence[tuple[Any, SendResult]]) -> int:
    """Write what became of deliveries that were in `state`. Returns how many were still ours to write."""
    judge = verdict if state is S.SENDING else receipt_verdict
    verdicts = [judge(ctx.now, delivery, result) for delivery, result in results]
    for each in verdicts:
        if each.state is not state:  # waiting on for a receipt moves nothing
            DELIVERY_GRAPH.event(state, each.state)
    done, = await changed(
        SETTLE, [delivery["id"] for delivery, _ in results], [delivery["attempts"] for delivery, _ in results],
        [each.state for each in verdicts], [each.due_at for each in verdicts], [each.give_up_at for each in verdicts],
        [result.provider_id for _, result in results], [short(result.error) for _, result in results],
        state, ctx.now, ctx.now + timedelta(hours=ctx.settings.notice_retry_hours),
    )
    if done.dead:
        log.error("notices_dead", count=done.dead)
    return int(done.settled)


def short(error: str | None) -> str | None:
    return error[:ERROR_CHARACTERS_MAX] if error else None


async def release_expired(ctx: Context, limit: int = 1_000) -> int:
    """Give back what workers took and never finished. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(RELEASE, ctx.now, limit)


async def ask_receipts(ctx: Context, limit: int = 20) -> int:
    """Ask what became of accepted messages: after 1, 6 and 36 minutes and 6.6 hours, then no more. Returns how many.

    A batch stays below the twenty calls a second that the platform allows an app.
    """
    async with transaction(ctx) as tx:
        due = await tx.rows(ASK, ctx.now, limit, ctx.now + LEASE)
    if due:
        results = await _in_time([_receipt(ctx, delivery) for delivery in due])
        await settle(ctx, DeliveryState.ACCEPTED, list(zip(due, results, strict=True)))
    return len(due)


async def _receipt(ctx: Context, delivery: Any) -> SendResult:
    sender = ctx.ports.senders.get(delivery.channel)
    if sender is None or delivery.provider_id is None:
        return SendResult(Outcome.REFUSED, error="nothing to ask for")
    return await answer_of(sender.receipt(delivery.provider_id), delivery)


AWAITING = "SELECT * FROM deliveries WHERE channel = $1 AND provider_id = $2 AND state = 'accepted'"


async def report_result(ctx: Context, channel: Channel, provider_id: str, result: SendResult) -> bool:
    """The platform tells by itself what became of a message. False if none with that id waits for it (yet)."""
    waiting = await rows(AWAITING, channel, provider_id)
    return bool(waiting) and await settle(ctx, DeliveryState.ACCEPTED, [(one, result) for one in waiting]) > 0


# --- what operators see ----------------------------------------------------------------------------------------------------


class DeadDeliveryView(TypedDict):
    """A message that did not get out in 48 hours. It can still be read in the inbox. Nothing personal."""

    id: int
    notice_id: int
    kind: str
    channel: Channel
    attempts: int
    error: str | None
    died_at: datetime


DEAD = """
SELECT d.*, n.kind FROM deliveries d JOIN notices n ON n.id = d.notice_id WHERE d.state = 'dead' AND d.id < $1 ORDER BY d.id DESC LIMIT $2
"""


async def list_dead(ctx: Context, page: Page) -> PageView[DeadDeliveryView]:
    """Newest first."""
    del ctx  # an administrator of the system sees all of them; there is nothing of an organisation in them
    found = await rows(DEAD, (page.key() or [2**63 - 1])[0], page.limit + 1)
    return page_of(found, page, _dead_view, lambda delivery: [delivery.id])


def _dead_view(delivery: Any) -> DeadDeliveryView:
    return {
        "id": delivery.id, "notice_id": delivery.notice_id, "kind": delivery.kind, "channel": Channel(delivery.channel),
        "attempts": delivery.attempts, "error": delivery.error, "died_at": delivery.finished_at,
    }
