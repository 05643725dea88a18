"""Voucher lots and the ledger they stand on (E19-E23, F06)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, fen, moment, reference


class Account(StrEnum):
    """Where money of a programme can be. `available` and `held` are per lot, `receivable` and on per institution."""

    BUDGET = "budget"
    AVAILABLE = "available"
    HELD = "held"
    RECEIVABLE = "receivable"
    PRE_REDEEMED = "pre_redeemed"
    PAID = "paid"
    SHORTFALL = "shortfall"
    EXPIRED = "expired"
    REVOKED = "revoked"
    RETURNED = "returned"


class EntryKind(StrEnum):
    ISSUE = "issue"          # 发放      budget -> available
    HOLD = "hold"            # 占用      available -> held
    COMMIT = "commit"        # 下单      held -> receivable
    RELEASE = "release"      # 释放      held -> available
    REVERSE = "reverse"      # 退回      receivable -> available
    EXPIRE = "expire"        # 过期      available -> expired
    GIVE_BACK = "give_back"  # 放弃      available -> returned
    REVOKE = "revoke"        # 收回      available -> revoked
    PRE_REDEEM = "pre_redeem"  # 预兑付    receivable -> pre_redeemed
    SHORTFALL = "shortfall"    # 未足额    receivable -> shortfall
    PAY_OUT = "pay_out"        # 兑付      pre_redeemed -> paid
    GRACE = "grace"          # 退回延期  available of the expired lot -> available of its grace lot


MOVES: dict[EntryKind, tuple[Account, Account]] = {
    EntryKind.ISSUE: (Account.BUDGET, Account.AVAILABLE),
    EntryKind.HOLD: (Account.AVAILABLE, Account.HELD),
    EntryKind.COMMIT: (Account.HELD, Account.RECEIVABLE),
    EntryKind.RELEASE: (Account.HELD, Account.AVAILABLE),
    EntryKind.REVERSE: (Account.RECEIVABLE, Account.AVAILABLE),
    EntryKind.EXPIRE: (Account.AVAILABLE, Account.EXPIRED),
    EntryKind.GIVE_BACK: (Account.AVAILABLE, Account.RETURNED),
    EntryKind.REVOKE: (Account.AVAILABLE, Account.REVOKED),
    EntryKind.PRE_REDEEM: (Account.RECEIVABLE, Account.PRE_REDEEMED),
    EntryKind.SHORTFALL: (Account.RECEIVABLE, Account.SHORTFALL),
    EntryKind.PAY_OUT: (Account.PRE_REDEEMED, Account.PAID),
}


class Grant(Table):
    """获批的服务券金额及使用方向 (C24): one decision of a reviewer, one lot. `directions`: [{category, content}], 服务大类 and 服务小类."""

    application = reference("Application")
    programme = reference("Programme")
    organisation = reference("Organisation")
    voucher_type = reference("VoucherType")
    applied_fen = fen()
    amount_fen = fen()
    directions: fields.Field[list[dict[str, str]]] = fields.JSONField()
    awarded_on = fields.DateField()   # Asia/Shanghai; contracts signed before it are not supported (C44)
    valid_until = fields.DateField()  # inclusive, Asia/Shanghai
    granted_by = reference("Person")
    created_at = moment()

    class Meta:
        table = "grants"
        indexes = (("application_id",), ("programme_id",), ("organisation_id", "programme_id"), ("voucher_type_id",), ("granted_by_id",))
        constraints = (
            CheckConstraint(check="amount_fen > 0 AND amount_fen <= applied_fen", name="grants_within_what_was_applied_for"),
            CheckConstraint(check="valid_until >= awarded_on", name="grants_end_after_they_begin"),
            CheckConstraint(check="jsonb_array_length(directions) > 0", name="grants_have_a_direction"),
        )


class Lot(Table):
    """Vouchers of one type that came to one enterprise together and expire together.

    `available_fen`, `held_fen` and `spent_fen` are the sums of the lot's ledger entries, kept here so that a payment
    locks and reads one row; `check-books` proves them equal. 可使用/已使用/已过期 follow from the amounts and the date.
    """

    programme = reference("Programme")
    voucher_type = reference("VoucherType")
    organisation = reference("Organisation")
    reservation = reference("Reservation", null=True)
    grant = reference("Grant", null=True)  # a grace lot keeps the grant, and with it the directions, of its lot
    grace_of = reference("Lot", null=True)
    face_fen = fen()
    available_fen = fen()
    held_fen = fields.BigIntField(default=0)
    spent_fen = fields.BigIntField(default=0)
    expired_fen = fields.BigIntField(default=0)
    valid_from = fields.DateField()
    valid_until = fields.DateField()  # inclusive, Asia/Shanghai
    expires_at = moment()             # the first instant at which it can no longer be used
    expired_at = moment(null=True)    # when the sweep took what was left
    give_back_until = fields.DateField(null=True)  # inclusive, Asia/Shanghai; null: never, or it has been used
    given_back_at = moment(null=True)
    created_at = moment()

    class Meta:
        table = "lots"
        indexes = (("organisation_id", "expires_at"), ("voucher_type_id",), ("programme_id",), ("grant_id",))
        constraints = (
            UniqueConstraint(fields=("reservation_id",), name="lots_one_per_win", condition="reservation_id IS NOT NULL"),
            UniqueConstraint(fields=("grant_id",), name="lots_one_per_grant", condition="grant_id IS NOT NULL AND grace_of_id IS NULL"),
            UniqueConstraint(fields=("grace_of_id", "valid_until"), name="lots_one_grace_a_day", condition="grace_of_id IS NOT NULL"),
            CheckConstraint(
                check="available_fen >= 0 AND held_fen >= 0 AND spent_fen >= 0 AND expired_fen >= 0 AND face_fen > 0",
                name="lots_never_negative",
            ),
            CheckConstraint(check="available_fen + held_fen + spent_fen + expired_fen <= face_fen", name="lots_within_face"),
            CheckConstraint(check="grace_of_id IS NULL OR reservation_id IS NULL", name="lots_grace_is_no_win"),
            CheckConstraint(check="valid_until >= valid_from", name="lots_end_after_they_begin"),
            CheckConstraint(
                check="given_back_at IS NULL OR available_fen = 0 AND held_fen = 0 AND spent_fen = 0 AND expired_fen = 0",
                name="lots_given_back_whole",
            ),
        )


class LedgerEntry(Table):
    """One movement of `fen` from an account to another. Append-only (trigger and missing grants), sealed into the hash chain.

    A grace entry moves between two lots: `lot` gives, `to_lot` takes; elsewhere `to_lot` is null.
    """

    programme_id = fields.BigIntField()
    lot_id = fields.BigIntField()
    to_lot_id = fields.BigIntField(null=True)
    order_id = fields.BigIntField(null=True)
    organisation_id = fields.BigIntField()
    institution_id = fields.BigIntField(null=True)
    kind = chars(16)
    from_account = chars(16)
    to_account = chars(16)
    fen = fen()
    at = moment()

    class Meta:
        table = "ledger_entries"
        indexes = (("lot_id",), ("organisation_id", "id"), ("programme_id", "at", "id"))  # and one over institution_id where there is one
        constraints = (
            CheckConstraint(check="fen > 0", name="ledger_entries_positive"),
            CheckConstraint(check="from_account <> to_account OR to_lot_id IS NOT NULL", name="ledger_entries_move"),
        )


class Reminder(Table):
    """A rung of the reminder ladder that was sent (F05): once per enterprise, last day and rung, whatever restarts."""

    organisation = reference("Organisation")
    valid_until = fields.DateField()
    rung = chars(8)
    sent_at = moment()

    class Meta:
        table = "reminders"
        constraints = (UniqueConstraint(fields=("organisation_id", "valid_until", "rung"), name="reminders_once"),)
