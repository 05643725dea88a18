"""Rounds, tickets and the draw (E13-E18, F01)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference, state
from models.states import Graph


class RoundState(StrEnum):
    DRAFT = "draft"
    ANNOUNCED = "announced"
    OPEN = "open"
    CLOSED = "closed"        # nobody gets in any more; the ticket list is being committed to
    COMMITTED = "committed"  # digest, quotas, commitments and the named randomness are public
    DRAWN = "drawn"
    PUBLICITY = "publicity"  # 公示
    FINAL = "final"          # vouchers are issued
    VOIDED = "voided"


class Allocation(StrEnum):
    """How a round gives out its vouchers."""

    LOTTERY = "lottery"
    FIRST_COME = "first_come"  # 先到先得: open -> final, without a draw


R = RoundState
ROUND_GRAPH = Graph("round", "rounds", RoundState, {
    (R.DRAFT, R.ANNOUNCED): "round.announced",
    (R.DRAFT, R.VOIDED): "round.voided",
    (R.ANNOUNCED, R.OPEN): "round.opened",
    (R.ANNOUNCED, R.VOIDED): "round.voided",
    (R.OPEN, R.CLOSED): "round.closed",
    (R.OPEN, R.FINAL): "round.ended",
    (R.OPEN, R.VOIDED): "round.voided",
    (R.CLOSED, R.COMMITTED): "round.committed",
    (R.CLOSED, R.VOIDED): "round.voided",
    (R.COMMITTED, R.DRAWN): "round.drawn",
    (R.COMMITTED, R.VOIDED): "round.voided",
    (R.DRAWN, R.PUBLICITY): "round.publicised",
    (R.DRAWN, R.VOIDED): "round.voided",
    (R.PUBLICITY, R.FINAL): "round.finalised",
    (R.PUBLICITY, R.VOIDED): "round.voided",
})


class Round(Table):
    """One reservation batch (批次). All instants UTC; `valid_until` is a date of Asia/Shanghai, inclusive (E22).

    First come, first served: nothing follows the close, so the draw and the publicity stand at `closes_at`.
    """

    programme = reference("Programme")
    policy = reference("Policy")
    allocation = chars(16, default=Allocation.LOTTERY.value, db_default=Allocation.LOTTERY.value)  # of the policy it was drafted under
    number = chars(16)  # R<number>-<ticket>: part of every ticket number, e.g. 202611
    name = chars(100)
    state = state(RoundState)
    opens_at = moment()
    closes_at = moment()
    draw_at = moment()
    publicity_at = moment()      # results become visible (公示时间, E18)
    publicity_until = moment()   # objections end; vouchers may be issued
    valid_until = fields.DateField()
    randomness: fields.Field[list[dict[str, str]]] = fields.JSONField(default=list)
    give_back_days = fields.SmallIntField(default=0, db_default=0)  # of that policy: how long an unused voucher may be given back
    notes = fields.TextField(default="")  # 注意事项, shown once before the first reservation (E13)
    made_by = reference("Person")
    confirmed_by = reference("Person", null=True)
    finalised_by = reference("Person", null=True)
    void_proposal = chars(200, null=True)  # a reason for voiding it that waits for a second person
    void_proposed_by = reference("Person", null=True)
    void_proposed_at = moment(null=True)
    void_reason = chars(200, null=True)
    voided_by = reference("Person", null=True)
    closing_told_at = moment(null=True)  # when those who had not reserved were told that the window closes (F05)
    missed_at = moment(null=True)  # when the managers were told that a public value came before the commitment
    created_at = moment()

    class Meta:
        table = "rounds"
        indexes = (("programme_id",), ("policy_id",), ("made_by_id",), ("confirmed_by_id",), ("finalised_by_id",), ("void_proposed_by_id",),
                   ("voided_by_id",))
        constraints = (
            UniqueConstraint(fields=("number",), name="rounds_number_once"),
            CheckConstraint(
                check="opens_at < closes_at AND closes_at <= draw_at AND draw_at <= publicity_at AND publicity_at <= publicity_until",
                name="rounds_in_order",
            ),
            CheckConstraint(check="confirmed_by_id IS DISTINCT FROM made_by_id", name="rounds_four_eyes"),
            CheckConstraint(check="finalised_by_id IS NULL OR finalised_by_id <> made_by_id", name="rounds_final_four_eyes"),
            CheckConstraint(check="(state = 'voided') = (void_reason IS NOT NULL)", name="rounds_voided_with_reason"),
            CheckConstraint(
                check="(void_proposal IS NULL) = (void_proposed_by_id IS NULL) AND (void_proposal IS NULL) = (void_proposed_at IS NULL)",
                name="rounds_voiding_has_reason",
            ),
            CheckConstraint(
                check="voided_by_id IS NULL OR voided_by_id IS DISTINCT FROM void_proposed_by_id", name="rounds_void_four_eyes",
            ),
            CheckConstraint(
                check="allocation = 'lottery' OR allocation = 'first_come' AND publicity_until = closes_at"
                      " AND state NOT IN ('closed','committed','drawn','publicity')",
                name="rounds_first_come_without_draw",
            ),
        )


class RoundQuota(Table):
    round = reference("Round")
    voucher_type = reference("VoucherType")
    quota = fields.IntField()
    alternates = fields.IntField(default=0)

    class Meta:
        table = "round_quotas"
        unique_together = (("round_id", "voucher_type_id"),)
        indexes = (("voucher_type_id",),)
        constraints = (CheckConstraint(check="quota >= 0 AND alternates >= 0", name="round_quotas_not_negative"),)


class RoundShare(Table):
    """A part of a type's quota in a round of first come, first served: its places `first_place` to `first_place + size - 1`.

    In parts, because one counter would be one hot row: who comes takes from a part that nobody holds. `is_open` is the round's door.
    """

    round = reference("Round")
    voucher_type = reference("VoucherType")
    first_place = fields.IntField()
    size = fields.IntField()
    remaining = fields.IntField()
    is_open = fields.BooleanField()

    class Meta:
        table = "round_shares"
        unique_together = (("round_id", "voucher_type_id", "first_place"),)
        indexes = (("voucher_type_id",),)
        constraints = (CheckConstraint(check="remaining >= 0 AND remaining <= size", name="round_shares_within_size"),)


class ReservationState(StrEnum):
    SUBMITTED = "submitted"  # 已预约; after the draw a ticket that is still here has not won
    WITHDRAWN = "withdrawn"
    WON = "won"              # 中签
    ALTERNATE = "alternate"  # 候补
    ISSUED = "issued"        # the voucher is in the wallet
    DECLINED = "declined"    # given up before it was issued: the next alternate moves up (F15)
    DISQUALIFIED = "disqualified"
    GIVEN_BACK = "given_back"  # its voucher, unused: it does not count towards the yearly cap any more


V = ReservationState
RESERVATION_GRAPH = Graph("reservation", "reservations", ReservationState, {
    (V.SUBMITTED, V.WITHDRAWN): "reservation.withdrawn",
    (V.WITHDRAWN, V.SUBMITTED): "reservation.submitted_again",
    (V.SUBMITTED, V.WON): "reservation.won",
    (V.SUBMITTED, V.ALTERNATE): "reservation.alternate",
    (V.ALTERNATE, V.WON): "reservation.moved_up",
    (V.WON, V.ISSUED): "reservation.issued",
    (V.WON, V.DECLINED): "reservation.declined",
    (V.ALTERNATE, V.DECLINED): "reservation.declined",
    (V.ISSUED, V.GIVEN_BACK): "reservation.given_back",
    (V.WON, V.DISQUALIFIED): "reservation.disqualified",
    (V.ALTERNATE, V.DISQUALIFIED): "reservation.disqualified",
    (V.DISQUALIFIED, V.WON): "reservation.reinstated",  # an appeal was right (F10)
})


class Reservation(Table):
    """One ticket of one enterprise in one round. Losers are not written at the draw: they follow from the round's state."""

    round = reference("Round")
    organisation = reference("Organisation")
    voucher_type = reference("VoucherType")
    state = state(ReservationState)
    salt = fields.BinaryField()
    rank = fields.IntField(null=True)      # place among the winners or the alternates of its type, or in its quota, from 1
    win_year = fields.SmallIntField(null=True)
    win_nth = fields.SmallIntField(null=True)  # the n-th win of this type in that year: UNIQUE keeps the yearly cap
    reserved_by = reference("Person")
    submitted_at = moment()
    changed_at = moment()

    class Meta:
        table = "reservations"
        indexes = (("organisation_id", "id"), ("voucher_type_id",), ("reserved_by_id",))
        constraints = (
            UniqueConstraint(fields=("round_id", "organisation_id"), name="reservations_one_ticket"),
            UniqueConstraint(
                fields=("organisation_id", "voucher_type_id", "win_year", "win_nth"),
                name="reservations_wins_counted", condition="win_nth IS NOT NULL",
            ),
            # What a draw chose is found by its rank: an index on the state would be written anew when vouchers are issued.
            CheckConstraint(
                check="state NOT IN ('won','alternate','issued','given_back') OR rank IS NOT NULL", name="reservations_chosen_have_rank",
            ),
            CheckConstraint(check="(win_nth IS NULL) = (state NOT IN ('won','issued'))", name="reservations_win_is_counted"),
        )


class DrawSecret(Table):
    """What one of the two people committed to; the secret stays sealed until the draw reveals it."""

    round = reference("Round")
    role = chars(16)  # draw_officer | witness
    person = reference("Person")
    commitment = chars(64)
    secret = fields.BinaryField()  # sealed; never a personal value
    created_at = moment()

    class Meta:
        table = "draw_secrets"
        unique_together = (("round_id", "role"), ("round_id", "person_id"))
        indexes = (("person_id",),)


class PublicValue(Table):
    """The public random value as two people typed it after its time had come; it counts when both agree."""

    round = reference("Round")
    source = chars(100)
    value = chars(200)
    person = reference("Person")
    role = chars(16)
    created_at = moment()

    class Meta:
        table = "public_values"
        unique_together = (("round_id", "source", "role"), ("round_id", "source", "person_id"))
        indexes = (("person_id",),)


class Draw(Table):
    """The published bundle: the commitment at close, the reveal and the result at the draw (docs/draw.md)."""

    round = reference("Round")
    rules_version = chars(16)
    ticket_count = fields.IntField()
    list_digest = chars(64)
    quotas_digest = chars(64)
    commitment: fields.Field[dict[str, object]] = fields.JSONField()
    reveal: fields.Field[dict[str, object]] = fields.JSONField(null=True)
    seed = chars(64, null=True)
    committed_at = moment()
    drawn_at = moment(null=True)

    class Meta:
        table = "draws"
        constraints = (UniqueConstraint(fields=("round_id",), name="draws_once"),)


class DrawList(Table):
    """The committed ticket list as published, in pieces of a thousand lines: the draw reads these very bytes (docs/draw.md)."""

    round = reference("Round")
    number = fields.IntField()  # of the piece, from 0
    first_ticket = chars(32)
    lines = fields.TextField()

    class Meta:
        table = "draw_lists"
        unique_together = (("round_id", "number"),)
