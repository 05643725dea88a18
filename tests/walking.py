"""Who plays in a random walk, and what each of them can do: every operation that moves money or rights (tests/test_random_walk.py).

A move says what it is done with and when it is likely to succeed. Nothing here knows what is allowed: the handlers say that.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from handlers.context import Actor, Context
from handlers.orders import get_order
from handlers.orders.views import ACTIONS, MUTUAL_WINDOW
from handlers.personal import seal
from handlers.programmes import JINAN as JINAN_RULES
from handlers.programmes import ZHENGZHOU as ZHENGZHOU_RULES
from handlers.programmes import Claim, Rules
from handlers.refusals import Busy, ChangedMeanwhile, Refusal
from handlers.wallet import first_unusable_instant
from jobs.schedule import Entry, schedule
from models.accounts import OrganisationKind, Role
from tests.shop import Shop, open_shop
from tests.world import JINAN, Member, World
from tests.zhengzhou import open_contract_shop

# Short times, so that a walk meets their ends.
HURRIED: dict[str, Any] = {
    "accept_working_days": 2, "deliver_working_days": 2, "unpaid_timeout_days": 4, "release_grace_days": 2, "review_replace_days": 3,
}
# What a programme decides about money, in the combinations of the two manuals and in those that stand in none.
POLICIES: dict[str, Rules] = {
    "jinan": JINAN_RULES.model_copy(update={
        **HURRIED, "allocation": "first_come", "product_use_cap_per_year": 5, "rework_max": 1, "auto_review_after_days": 2,
        "claim": Claim(),
    }),
    "jinan, claimed when paid": JINAN_RULES.model_copy(update={
        **HURRIED, "allocation": "first_come", "rework_max": 0, "product_use_cap_per_year": None, "mutual_review": True,
        "claim": Claim(requires="paid", ratio="0.60"),
    }),
    "zhengzhou": ZHENGZHOU_RULES.model_copy(update=HURRIED),
    "zhengzhou, accepted and confirmed": ZHENGZHOU_RULES.model_copy(update={
        **HURRIED, "price_confirm": "always", "payment_review": "centre", "provider_accept": True, "completion": "buyer_confirm",
        "product_use_cap_per_year": 4, "rework_max": 1, "review": True, "auto_review_after_days": 2,
        "claim": Claim(requires="completed", basis="voucher_paid"),
    }),
}
SWEPT = ("wallet", "orders", "reviews", "rounds", "reminders", "scores", "risks")
TABLES = (
    "orders", "lots", "ledger_entries", "reservations", "rounds", "redemptions", "invoices", "redemption_files", "payout_batches",
    "payout_lines", "approvals", "appeals", "disputes", "freezes", "handovers", "price_changes", "contracts", "reviews",
    "enterprise_reviews", "grants", "programmes", "applications", "events", "audit_entries",
)
LOOK = {
    "orders": """
      SELECT o.*, c.state AS claim FROM orders o
      LEFT JOIN LATERAL (SELECT state FROM redemptions WHERE order_id = o.id ORDER BY state = 'rejected', id DESC LIMIT 1) c ON true
      ORDER BY o.id""",
    "claims": "SELECT r.*, o.frozen_at, o.disputed_at, o.order_fen FROM redemptions r JOIN orders o ON o.id = r.order_id ORDER BY r.id",
    "cases": """
      SELECT a.*, r.prepared_by_id, o.id AS order_id, o.voucher_fen, o.frozen_at FROM approvals a
      LEFT JOIN redemptions r ON a.subject = 'redemption' AND r.id = a.subject_id
      LEFT JOIN orders o ON a.subject = 'order' AND o.id = a.subject_id WHERE a.state = 'open' ORDER BY a.id""",
    "refused": """
      SELECT a.* FROM approvals a WHERE a.state = 'rejected' AND a.kind IN ('payment', 'redemption')
        AND NOT EXISTS (SELECT FROM appeals p WHERE p.approval_id = a.id) ORDER BY a.id""",
    "appeals": "SELECT * FROM appeals ORDER BY id",
    "freezes": "SELECT * FROM freezes f WHERE lifted_at IS NULL ORDER BY id",
    "batches": "SELECT * FROM payout_batches ORDER BY id",
    "lines": """
      SELECT l.*, b.state AS batch FROM payout_lines l JOIN payout_batches b ON b.id = l.batch_id WHERE l.state = 'pending'
      ORDER BY l.id""",
    "lots": "SELECT * FROM lots ORDER BY id",
}
# All of these tables in one answer: a step that is refused must leave it as it was.
FINGERPRINTS = " UNION ALL ".join(
    f"SELECT '{table}' AS name, md5(string_agg(t::text, '' ORDER BY t.id)) AS rows FROM {table} t" for table in TABLES
)
AGAINST_TIME = (Busy, ChangedMeanwhile)  # what only somebody at the same moment explains; nobody else is there


@dataclass
class Seen:
    """What there is, at the moment before a move."""

    now: datetime
    rows: dict[str, list[Any]]

    def __getattr__(self, name: str) -> list[Any]:
        return self.rows[name]


@dataclass(frozen=True)
class Move:
    """`likely`: whether it can succeed with this thing. `verb`: as an order offers it, to the side that `by` names."""

    name: str
    of: str
    do: Callable[["Walk", Any, int], Awaitable[str | None]]
    likely: Callable[["Walk", Any], bool]
    weight: int
    forward: bool
    in_parts: bool
    verb: str | None


MOVES: dict[str, Move] = {}


def move(
    of: str, likely: Callable[["Walk", Any], bool] = lambda _walk, _thing: True, *, weight: int = 1, forward: bool = False,
    in_parts: bool = False, verb: str | None = None,
) -> Callable[[Callable[["Walk", Any, int], Awaitable[str | None]]], Callable[["Walk", Any, int], Awaitable[str | None]]]:
    """`forward`: it brings an order towards the bank. `in_parts`: it takes several transactions, and a refusal may come after the first."""

    def register(do: Callable[["Walk", Any, int], Awaitable[str | None]]) -> Callable[["Walk", Any, int], Awaitable[str | None]]:
        name = do.__name__
        MOVES[name] = Move(name, of, do, likely, weight, forward, in_parts, verb)
        return do

    return register


# What is offered may still be refused for what was given with it, or for what the order does not show.
GIVEN_WRONG = {
    "product_use_cap_reached", "deduction_too_high", "lot_not_usable", "not_enough_vouchers", "price_above_list",
    "termination_amount_wrong", "bank_account_missing", "actual_amount_too_high", "invoice_used", "contract_before_award",
}


@dataclass
class Walk:
    world: World
    rules: Rules
    shop: Shop
    people: dict[Role, list[Actor]]
    done: Counter[str]
    sweeps: list[Entry] = field(default_factory=list)
    invoices: int = 0
    rounds: int = 0
    before: dict[str, str] | None = None  # the tables as the last step left them, where nothing has changed since
    made: set[str] = field(default_factory=set)  # the moves that have succeeded

    # --- who -----------------------------------------------------------------------------------------------------------

    def by(self, actor: Actor | None = None) -> Context:
        nobody = self.world.context()
        return nobody if actor is None else Context(actor, nobody.now, nobody.settings, nobody.ports, "walk")

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    @property
    def buyer(self) -> Context:
        return self.by(acting(self.shop.buyer, OrganisationKind.ENTERPRISE))

    @property
    def seller(self) -> Context:
        return self.by(acting(self.shop.seller, OrganisationKind.INSTITUTION))

    def side(self, kind: str) -> Context:
        return self.buyer if kind == "enterprise" else self.seller

    def official(self, role: Role, n: int, *avoided: int | None) -> Context:
        """Somebody of this role who is none of those; now and then one of them all the same."""
        able = [actor for actor in self.people[role] if actor.person_id not in avoided or n % 16 == 15]
        return self.by((able or self.people[role])[n % len(able or self.people[role])])

    def reviewer(self, case: Any, n: int) -> Context:
        """Of those who have the case in their queue."""
        avoided = [*case["data"].get("not_by", ()), case["prepared_by_id"]] if isinstance(case["data"], dict) else []
        found = [actor for actor in self.people[Role(case["role"])] if case["park_id"] is None or actor.park_id in (None, case["park_id"])]
        able = [actor for actor in found if (actor.park_id is None) == (case["park_id"] is None) or case["region_code"] is not None]
        wise = [actor for actor in able if actor.person_id not in avoided or n % 16 == 15]
        return self.by((wise or able or found)[n % len(wise or able or found)])

    # --- what ----------------------------------------------------------------------------------------------------------

    async def look(self) -> Seen:
        rows: dict[str, list[Any]] = {name: await self.world.owner.fetch(sql) for name, sql in LOOK.items()}
        rows["cases"] = [{**case, "data": decoded(case["data"])} for case in rows["cases"]]
        seen = Seen(self.now, rows)
        rows["world"], rows["sweeps"], rows["deadlines"] = [seen], list(self.sweeps), self.deadlines(rows)[:3]
        return seen

    def deadlines(self, rows: dict[str, list[Any]]) -> list[datetime]:
        """The instants that are to come at which something ends."""
        found = {lot["expires_at"] for lot in rows["lots"] if lot["available_fen"]}
        found |= {first_unusable_instant(lot["give_back_until"]) for lot in rows["lots"] if lot["give_back_until"]}
        for order in rows["orders"]:
            found |= {order["due_at"], order["termination_until"]}
            if order["completed_at"] and (order["reviewed_at"] is None or self.rules.mutual_review):
                counted = max(order["completed_at"], order["clock_from"] or order["completed_at"])
                found |= {counted + timedelta(days=self.rules.auto_review_after_days or 0), counted + MUTUAL_WINDOW}
        return sorted(each for each in found if each is not None and each > self.now)

    async def go(self, number: int, which: int, n: int, *, aimed: bool = True, forward: bool = False) -> str:
        """One step, chosen by the numbers; what has not succeeded yet is chosen more often. Returns its story."""
        seen = await self.look()
        open_to = {
            name: [thing for thing in seen.rows[each.of] if not aimed or each.likely(self, thing)]
            for name, each in MOVES.items() if each.forward or not forward
        }
        names = [
            name for name, things in open_to.items() if things for _ in range(MOVES[name].weight * (1 if name in self.made else 3))
        ]
        if not names:
            return "nothing to do"
        chosen = MOVES[names[number % len(names)]]
        return await self.make(chosen, open_to[chosen.name][which % len(open_to[chosen.name])], n)

    async def make(self, chosen: Move, thing: Any, n: int) -> str:
        """Do it. A refusal is an answer, and then nothing has changed."""
        story = f"{self.now:%m-%d %H:%M:%S} {chosen.name} {told(thing)} n={n}"
        offered = await self.is_offered(chosen, thing, n)
        if self.before is None and not chosen.in_parts:
            self.before = await self.fingerprints()
        try:
            outcome = await chosen.do(self, thing, n)
        except Refusal as refused:
            assert not isinstance(refused, AGAINST_TIME), f"{story}: refused with {refused!r}"
            assert not offered or refused.code in GIVEN_WRONG, f"{story}: was offered, and is refused with {refused!r}"
            if chosen.in_parts:
                self.before = None
            else:
                after = await self.fingerprints()
                changed = [name for name in TABLES if after[name] != (self.before or {})[name]]
                assert changed == [], f"{story}: refused with {refused!r}, and these have changed"
            return f"{story}: {refused.code}"
        assert offered is not False, f"{story}: was not offered, and is done"
        self.before = None
        self.made.add(chosen.name)
        self.done[chosen.name] += 1
        if outcome is not None:
            self.done[outcome] += 1
        return f"{story}: {outcome or 'done'}"

    async def fingerprints(self) -> dict[str, str]:
        return dict(await self.world.owner.fetch(FINGERPRINTS))

    async def is_offered(self, chosen: Move, order: Any, n: int) -> bool | None:
        """Whether the order shows the verb to who is about to try it; None where nothing is shown."""
        if chosen.verb is None:
            return None
        shown = await get_order(self.actor_of(chosen, order, n), order["id"])
        return chosen.verb in shown["allowed_actions"]

    def actor_of(self, chosen: Move, order: Any, n: int) -> Context:
        side = ACTIONS[chosen.verb or ""][0]
        if side is not None:
            return self.side(side)
        if chosen.verb == "terminate":
            return self.side(("enterprise", "institution")[n % 2])
        proposer, other = order["termination_side"] or "enterprise", {"enterprise": "institution", "institution": "enterprise"}
        return self.side(proposer if chosen.verb == "withdraw_termination" else other[proposer])

    # --- papers --------------------------------------------------------------------------------------------------------

    async def file(self, slot: str, of: Member) -> int:
        self.invoices += 1
        return int(await self.world.value(
            "INSERT INTO attachments (organisation_id, uploaded_by_id, slot, display_name, media_type, size, sha256, storage_key, state,"
            " created_at) VALUES ($1,$2,$3,'a.pdf','application/pdf',10,sha256($4),$5,'stored',$6) RETURNING id",
            of.organisation_id, of.person_id, slot, str(self.invoices).encode(), f"{self.invoices:032d}", self.now,
        ))


def acting(member: Member, kind: OrganisationKind, region_code: str | None = None, park_id: int | None = None) -> Actor:
    return Actor(member.role, member.person_id, None, member.identity_id, member.membership_id, member.organisation_id, kind, region_code,
                 park_id)


def decoded(data: Any) -> Any:
    return json.loads(data) if isinstance(data, str) else data


def told(thing: Any) -> str:
    if isinstance(thing, Seen):
        return ""
    if isinstance(thing, datetime):
        return f"{thing:%m-%d %H:%M:%S}"
    return thing.name if isinstance(thing, Entry) else f"#{thing['id']}"


OFFICIALS = {
    Role.REVIEWER: 3, Role.CENTRE_REVIEWER: 4, Role.RISK_OFFICER: 3, Role.PAYOUT_OFFICER: 2, Role.PROGRAMME_MANAGER: 2,
}


async def open_walk(world: World, policy: str, done: Counter[str]) -> Walk:
    """An empty database becomes a shop under the policy, with everybody who has a say in it."""
    rules = POLICIES[policy]
    park_id = None
    if rules.contract_upload == "at_pay":
        shop: Shop = await open_contract_shop(world, price_fen=150_000, **dict(rules))
        park_id = shop.park_id  # type: ignore[attr-defined]
    else:
        shop = await open_shop(world, **dict(rules))
    await world.owner.execute(
        "UPDATE institutions SET bank_account_name = '测试户名', bank_branch = '中国银行高新区支行', bank_account = $1",
        seal(world.settings, "6217000000001234567"),
    )
    people = {
        role: [acting(await world.official(role), OrganisationKind.OFFICE, JINAN) for _ in range(count)]
        for role, count in OFFICIALS.items()
    }
    if park_id is not None:
        people[Role.REVIEWER] += [
            acting(await world.official(Role.REVIEWER, park_id=park_id), OrganisationKind.OFFICE, None, park_id) for _ in range(2)
        ]
    sweeps = [entry for entry in schedule(world.settings) if entry.name.partition(".")[0] in SWEPT]
    return Walk(world, rules, shop, people, done, sweeps)
