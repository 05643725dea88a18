"""What happens by itself, and how often it is looked for. Each sweep finds what is due at `ctx.now`; late is never skipped."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from handlers import (
    attachments,
    attachments_purging,
    audit,
    bindings,
    bot_cards,
    consultants,
    content_checks,
    deliveries,
    demands,
    dialogues,
    digests,
    draws,
    first_come,
    help_requests,
    housekeeping,
    inbound,
    institutions_standing,
    mailboxes,
    notices,
    outside,
    pictures,
    recalls,
    registered,  # noqa: F401 - what is decided and checked in this process is known by being imported
    reminders,
    resealing,
    retention,
    review_digests,
    reviews,
    reviews_mutual,
    risk_signals,
    rounds,
    scores,
    statement_links,
    talk_windows,
    wallet,
)
from handlers.accounts import signing_in
from handlers.context import Context
from handlers.orders import fulfilment, payment, terminations
from settings import Settings

Sweep = Callable[[Context], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Entry:
    """`sweep` does one bounded batch and returns how much it did; it is called again until that is nothing."""

    name: str  # word.verb
    every_seconds: float
    sweep: Sweep


def _of_rounds(at_once: float) -> tuple[Entry, ...]:
    return (
        Entry("rounds.open", at_once, rounds.open_due_rounds),
        Entry("rounds.close", at_once, draws.close_due_rounds),
        Entry("rounds.draw", at_once, draws.draw_due_rounds),
        Entry("rounds.end", at_once, first_come.end_due_rounds),
        Entry("rounds.publicise", at_once, rounds.publicise_due_rounds),
    )


def schedule(settings: Settings) -> tuple[Entry, ...]:
    """The table. `at_once`: what people wait for; the others by how much a delay matters."""
    at_once, minute, hour = settings.sweep_seconds, 60.0, 3600.0
    return (
        *_of_rounds(at_once),
        Entry("wallet.expire", at_once, wallet.expire_due),
        Entry("orders.close_unpaid", at_once, payment.close_unpaid),
        Entry("orders.remind_unaccepted", minute, fulfilment.remind_unaccepted),
        Entry("orders.remind_unconfirmed", minute, fulfilment.remind_unconfirmed),
        Entry("orders.remind_undelivered", minute, fulfilment.remind_undelivered),
        Entry("orders.expire_terminations", minute, terminations.expire_terminations),
        Entry("reviews.review", at_once, reviews.review_due),
        Entry("reviews.remind", minute, reviews.remind_unreviewed),
        Entry("reviews.reveal", at_once, reviews_mutual.reveal_due),
        Entry("content_checks.check", at_once, content_checks.check_due),
        Entry("scores.count", at_once, scores.count_events),
        Entry("scores.decay", minute, scores.decay_scores),
        Entry("reminders.remind_expiring", minute, reminders.remind_expiring),
        Entry("reminders.remind_closing", minute, reminders.remind_closing),
        Entry("reminders.remind_unfinished", minute, reminders.remind_unfinished),
        Entry("institutions.expire", minute, institutions_standing.expire_due),
        Entry("institutions.resume", minute, institutions_standing.resume_due),
        Entry("institutions.remind_expiring", hour, institutions_standing.remind_expiring),
        Entry("demands.spread", at_once, demands.spread_due),
        Entry("demands.remind", at_once, demands.remind_unviewed),
        Entry("demands.offer_alternatives", at_once, demands.offer_alternatives),
        Entry("demands.expire", at_once, demands.expire_due),
        Entry("demands.forget_contacts", hour, demands.forget_contacts),
        Entry("consultants.lapse_invitations", at_once, consultants.lapse_due),
        Entry("consultants.forget_codes", hour, consultants.forget_codes),
        Entry("risks.scan", minute, risk_signals.scan_orders),
        Entry("review_digests.send", minute, review_digests.send_digests),
        Entry("notices.open", at_once, notices.open_events),
        Entry("deliveries.release", at_once, deliveries.release_expired),
        Entry("deliveries.ask_receipts", at_once, deliveries.ask_receipts),
        Entry("digests.release", at_once, digests.release_held),
        Entry("recalls.recall", at_once, recalls.recall_due),
        Entry("outside.forget", hour, outside.forget_addresses),
        Entry("mailboxes.forget", hour, mailboxes.forget_codes),
        Entry("audit.seal", minute, audit.seal_due),
        Entry("audit.check", 10 * minute, audit.check_nightly),
        Entry("attachments.purge", 10 * minute, attachments.purge_unfinished),
        Entry("attachments.purge_deleted", minute, attachments_purging.purge_deleted),
        Entry("pictures.withdraw", 10 * minute, pictures.withdraw_copies),
        Entry("sessions.forget", hour, signing_in.forget_sessions),
        Entry("personal.reseal", hour, resealing.reseal_due),
        Entry("idempotency_keys.forget", hour, housekeeping.forget_idempotency_keys),
        *_of_retention(hour),
        *_of_chats(at_once, hour),
    )


def _of_retention(hour: float) -> tuple[Entry, ...]:
    day = 24 * hour
    return (
        Entry("retention.forget_photos", hour, retention.forget_photos),
        Entry("retention.forget_invited", hour, retention.forget_invited),
        Entry("retention.forget_applications", day, retention.forget_applications),
        Entry("retention.forget_papers", day, retention.forget_papers),
        Entry("retention.forget_transfers", day, retention.forget_transfers),
        Entry("retention.forget_traits", day, retention.forget_traits),
        Entry("retention.forget_consultants", day, retention.forget_consultants),
    )


def _of_chats(at_once: float, hour: float) -> tuple[Entry, ...]:
    return (
        Entry("inbound.release", at_once, inbound.release_expired),
        Entry("inbound.forget", hour, inbound.forget_handled),
        Entry("bindings.forget", hour, bindings.forget_bindings),
        Entry("bot_cards.settle", at_once, bot_cards.settle_cards),
        Entry("bot_cards.forget", hour, bot_cards.forget_cards),
        Entry("help_requests.forget_lines", 10 * 60.0, help_requests.forget_lines),
        Entry("dialogues.forget", hour, dialogues.forget_dialogues),
        Entry("talk_windows.forget", hour, talk_windows.forget_windows),
        Entry("statement_links.forget", hour, statement_links.forget_links),
    )
