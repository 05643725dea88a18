"""A second opinion on wallets and orders: plain Python, written from the rules and not from the code that it is held against."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from handlers.wallet import first_unusable_instant, shanghai_date
from handlers.working_days import due_after

RULES = {"product_use_cap_per_year": 8, "rework_max": 1, "unpaid_timeout_days": 3, "release_grace_days": 2, "accept_working_days": 1,
         "deliver_working_days": 4}
DEDUCTION = 200_000  # of either voucher type; the most that an order takes
REVIEW_DAYS, REPLACE_DAYS = 7, 30


@dataclass
class Lot:
    id: int | None  # a grace lot learns its number from the database
    voucher_type: int
    until: date
    available: int
    spent: int = 0
    expired: int = 0
    grace_of: int | None = None

    @property
    def shown(self) -> tuple[object, ...]:
        return (self.available, self.spent, self.expired, self.until)

    def usable(self, now: datetime) -> bool:
        return now < first_unusable_instant(self.until)


@dataclass
class Order:
    id: int
    due: datetime | None
    use: tuple[int, int] | None  # year, n-th
    state: str = "unpaid"
    voucher: int = 0
    returned: int = 0
    reason: str | None = None
    rework: int = 0
    completed: datetime | None = None
    review: str | None = None  # system | person
    reviewed: datetime | None = None
    disputed: bool = False
    frozen: bool = False
    paid_from: dict[int, int] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[object, ...]:
        return (self.state, self.voucher, self.returned, self.reason, self.rework, self.use, self.review, self.disputed, self.frozen,
                self.due)


@dataclass
class Model:
    """One enterprise, one product. Every method says whether the step is allowed, and if so takes it."""

    now: datetime
    lots: list[Lot] = field(default_factory=list)
    orders: dict[int, Order] = field(default_factory=dict)

    # --- placing and paying --------------------------------------------------------------------------------------------

    def free_use(self) -> tuple[int, int] | None:
        year = shanghai_date(self.now).year
        taken = {order.use[1] for order in self.orders.values() if order.use and order.use[0] == year}
        cap = RULES["product_use_cap_per_year"]
        return next(((year, number) for number in range(1, cap + 1) if number not in taken), None)

    def place(self, order_id: int, use: tuple[int, int]) -> None:
        self.orders[order_id] = Order(order_id, self.now + timedelta(days=RULES["unpaid_timeout_days"]), use)

    def automatic(self, fen: int) -> dict[int, int] | None:
        """What a payment takes by itself: the soonest to expire first."""
        left = fen
        of_type: dict[int, int] = {}
        taken: dict[int, int] = {}
        for lot in sorted(self.lots, key=lambda lot: (lot.until, lot.id)):
            part = min(left, lot.available, DEDUCTION - of_type.get(lot.voucher_type, 0)) if lot.usable(self.now) else 0
            if part > 0:
                assert lot.id is not None
                taken[lot.id] = part
                of_type[lot.voucher_type] = of_type.get(lot.voucher_type, 0) + part
                left -= part
        return None if left else taken

    def can_take(self, parts: list[tuple[int, int]]) -> bool:
        by_id = {lot.id: lot for lot in self.lots}
        return len({lot_id for lot_id, _ in parts}) == len(parts) and all(
            by_id[lot_id].usable(self.now) and fen <= by_id[lot_id].available for lot_id, fen in parts
        )

    def use_when_paid(self, order: Order) -> tuple[int, int] | None:
        """A use counts in the year of its payment."""
        return order.use if order.use and order.use[0] == shanghai_date(self.now).year else self.free_use()

    def pay(self, order: Order, parts: dict[int, int]) -> None:
        by_id = {lot.id: lot for lot in self.lots}
        for lot_id, fen in parts.items():
            by_id[lot_id].available -= fen
            by_id[lot_id].spent += fen
        order.paid_from = dict(parts)
        order.state, order.voucher, order.use = "paid", sum(parts.values()), self.use_when_paid(order)
        order.due = due_after(self.now, RULES["accept_working_days"])

    # --- what each verb asks and does ----------------------------------------------------------------------------------

    def may(self, verb: str, order: Order) -> bool:
        if verb == "review":
            if order.review == "system":
                assert order.reviewed is not None
                return self.now < order.reviewed + timedelta(days=REPLACE_DAYS)
            return order.state == "completed" and order.review is None
        if order.frozen or order.disputed:
            return verb == "rule" and order.disputed
        wanted = {"pay": "unpaid", "cancel": "unpaid", "accept": "paid", "decline": "paid", "take_back": "paid", "deliver": "accepted",
                  "confirm": "delivered", "send_back": "delivered"}
        is_due = order.due is not None and order.due <= self.now
        if (verb == "take_back" and not is_due) or (verb == "pay" and is_due):
            return False
        return order.state == wanted.get(verb)

    def cancel(self, order: Order, reason: str = "cancelled") -> None:
        order.state, order.reason, order.use, order.due = "closed", reason, None, None

    def accept(self, order: Order) -> None:
        order.state, order.due = "accepted", due_after(self.now, RULES["deliver_working_days"])

    def deliver(self, order: Order) -> None:
        order.state, order.due = "delivered", None

    def confirm(self, order: Order) -> None:
        order.state, order.completed = "completed", self.now

    def send_back(self, order: Order) -> None:
        if order.rework >= RULES["rework_max"]:
            order.disputed = True
        else:
            self.accept(order)
            order.rework += 1

    def decline(self, order: Order) -> None:
        self.refund(order, order.voucher, "declined")

    def take_back(self, order: Order) -> None:
        self.refund(order, order.voucher, "not_accepted")

    def rule(self, order: Order, fen: int) -> None:
        order.disputed = False
        if fen:
            self.refund(order, fen, "ruled")
        else:
            self.confirm(order)

    def review(self, order: Order, by: str = "person") -> None:
        order.review, order.reviewed = by, self.now

    def refund(self, order: Order, fen: int, reason: str) -> None:
        """Back to where it came from, what can be used longest first; what is over by now gets days of its own, once."""
        by_id = {lot.id: lot for lot in self.lots}
        left = fen
        for lot_id in sorted(order.paid_from, key=lambda lot_id: (by_id[lot_id].until, lot_id), reverse=True):
            part = min(left, order.paid_from[lot_id])
            left -= part
            self.give_back(by_id[lot_id], part)
        assert left == 0
        order.state, order.reason, order.returned, order.due = "closed", reason, fen, None
        if fen == order.voucher:
            order.use = None

    def give_back(self, lot: Lot, fen: int) -> None:
        lot.spent -= fen
        if lot.usable(self.now) or lot.grace_of is not None or fen == 0:
            lot.available += fen
            return
        until = shanghai_date(self.now) + timedelta(days=RULES["release_grace_days"])
        grace = next((other for other in self.lots if (other.grace_of, other.until) == (lot.id, until)), None)
        if grace is None:
            grace = Lot(None, lot.voucher_type, until, 0, grace_of=lot.id)
            self.lots.append(grace)
        grace.available += fen

    # --- by itself -----------------------------------------------------------------------------------------------------

    def expire(self) -> int:
        gone = [lot for lot in self.lots if lot.available and not lot.usable(self.now)]
        for lot in gone:
            lot.expired, lot.available = lot.expired + lot.available, 0
        return len(gone)

    def close_unpaid(self) -> int:
        due = [order for order in self.orders.values()
               if order.state == "unpaid" and not order.frozen and order.due and order.due <= self.now]
        for order in due:
            self.cancel(order, "timeout")
        return len(due)

    def review_due(self) -> int:
        due = [order for order in self.orders.values() if order.state == "completed" and order.review is None and not order.frozen
               and order.completed is not None and order.completed + timedelta(days=REVIEW_DAYS) <= self.now]
        for order in due:
            self.review(order, "system")
        return len(due)

    def edges(self, kind: str) -> list[datetime]:
        """The instants to come at which something of a kind is due: lot | order | review | replace."""
        found: list[datetime | None] = []
        if kind == "lot":
            found += [first_unusable_instant(lot.until) for lot in self.lots if lot.available]
        for order in self.orders.values():
            if kind == "order":
                found.append(order.due)
            elif kind == "review" and order.completed and not order.review:
                found.append(order.completed + timedelta(days=REVIEW_DAYS))
            elif kind == "replace" and order.review == "system" and order.reviewed:
                found.append(order.reviewed + timedelta(days=REPLACE_DAYS))
        return sorted({instant for instant in found if instant is not None and instant > self.now})
