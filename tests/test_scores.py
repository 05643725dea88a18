"""Scores: the sum of their parts, with what changed them; counted one by one and computed anew to the same numbers (A07, F18, F27)."""

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import reviews, scores
from handlers.score_formula import BASE
from handlers.scores import count_events, decay_scores, month_of, recompute
from handlers.transactions import transaction
from models.accounts import Role
from models.scores import ScoreKind
from settings import ROOT
from tests import score_model
from tests.races import without
from tests.referee import COMMIT, Referee
from tests.score_model import Event
from tests.shop import Shop, open_shop
from tests.test_reviews import REVIEW
from tests.world import JINAN, Member, World

SHANGHAI = ZoneInfo("Asia/Shanghai")
PARTS = ("reviews", "transactions", "activities", "answers")
_next = iter(range(1, 10**9))


async def count(
    world: World, institution: Member, kind: str, *, months_ago: int = 0, consultant_id: int | None = None, **facts: Any
) -> int:
    """An event of some month before now; its subject id."""
    subject_id = next(_next)
    now = month_of(world.clock.now()) - months_ago
    at = datetime(now // 12, now % 12 + 1, 1, tzinfo=SHANGHAI)
    async with transaction(world.context().at(at)) as tx:
        await scores.count(
            tx, ScoreKind(kind), "test", subject_id, institution_id=institution.organisation_id, consultant_id=consultant_id, **facts
        )
    return subject_id


async def counted(world: World, limit: int = 1_000) -> int:
    done = 0
    while batch := await count_events(world.context(), limit):
        done += batch
    return done


async def score(world: World, path: str) -> dict[str, int]:
    status, body = await world.get(f"{path}/score")
    assert status == 200, body
    parts = {each["component"]: each["hundredths"] for each in body["components"]}
    assert body["total_hundredths"] == sum(parts.values())
    return parts | {"total": body["total_hundredths"], "activity": body["activity_hundredths"]}


async def changes(world: World, path: str) -> list[tuple[str, int, int, str, dict[str, int]]]:
    _, page = await world.get(f"{path}/score/changes?limit=100")
    return [(each["component"], each["before_hundredths"], each["after_hundredths"], each["cause"],
             {fact["kind"]: fact["count"] for fact in each["facts"]}) for each in page["items"]]


def of(member: Member) -> str:
    return f"/institutions/{member.organisation_id}"


# --- the formula --------------------------------------------------------------------------------------------------------


async def test_the_formula_is_published_with_all_its_numbers(world):
    status, formula = await world.get("/score-formula")
    assert (status, formula["version"], formula["months"]) == (200, 1, 12)
    assert (formula["prior_reviews"], formula["prior_value"]) == (score_model.PRIOR_REVIEWS, score_model.PRIOR_VALUE)
    assert {each["grade"]: each["value"] for each in formula["grades"]} == score_model.VALUES
    assert {each["component"]: each["most_hundredths"] for each in formula["components"]} == score_model.MOST
    assert sum(score_model.MOST.values()) == 10_000
    points = {kind["kind"]: kind["points_hundredths"] for each in formula["components"] for kind in each["kinds"]}
    assert points == {**score_model.POINTS, "review_received": None}
    page = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")
    assert [line for line in formula["text"] if line not in page] == []


async def test_an_institution_that_has_nothing_yet_has_the_prior(world):
    seller = await world.institution()
    assert await score(world, of(seller)) == score_model.score([], 0) == {
        "reviews": 2_800, "transactions": 0, "activities": 0, "answers": 0, "total": 2_800, "activity": 0}
    assert BASE == 2_800


# --- what happens moves the score -----------------------------------------------------------------------------------------


async def test_a_completed_order_and_its_review_count_by_themselves_and_say_so(world):
    shop = await open_shop(world)
    order_id = await shop.completed()
    assert await counted(world) == 1
    assert await score(world, of(shop.seller)) == {
        "reviews": 2_800, "transactions": 120, "activities": 0, "answers": 0, "total": 2_920, "activity": 120}
    await shop.ok(shop.buyer, order_id, "review", REVIEW)
    assert await counted(world) == 1
    assert (await score(world, of(shop.seller)))["reviews"] == 4_000 * (5 * 70 + 100) // (100 * 6) == 3_000
    assert await changes(world, of(shop.seller)) == [
        ("reviews", 2_800, 3_000, "events", {"review_received": 1}), ("transactions", 0, 120, "events", {"order_completed": 1}),
    ]


@pytest.mark.parametrize("unreviewed", [1, 7])
async def test_reviews_of_the_system_change_no_score(world, unreviewed):
    shop = await open_shop(world)
    await shop.ok(shop.buyer, await shop.completed(), "review", {**REVIEW, "grade": "bad"})
    for _ in range(unreviewed):
        await shop.completed()
    await counted(world)
    before, seen = await score(world, of(shop.seller)), await changes(world, of(shop.seller))
    world.clock.advance(days=7)
    assert await world.sweep(reviews.review_due) == unreviewed
    assert await counted(world) == 0
    assert (await score(world, of(shop.seller)), await changes(world, of(shop.seller))) == (before, seen)
    assert await world.value("SELECT count(*) FROM score_events WHERE kind = 'review_received'") == 1


async def test_a_system_review_that_a_person_replaces_counts_from_then_on(world):
    shop = await open_shop(world)
    order_id = await shop.completed()
    world.clock.advance(days=7)
    await world.sweep(reviews.review_due)
    await shop.ok(shop.buyer, order_id, "review", {**REVIEW, "grade": "bad"})
    await counted(world)
    assert (await score(world, of(shop.seller)))["reviews"] == 4_000 * (5 * 70) // (100 * 6)


async def test_a_dispute_ruled_for_the_institution_counts_as_completed(world):
    shop = await open_shop(world, rework_max=0)
    order_id = await shop.delivered()
    await shop.ok(shop.buyer, order_id, "rework", {"reason": "不符合要求"})
    reviewer = await world.official(Role.REVIEWER)
    [approval] = [each["id"] for each in await world.owner.fetch("SELECT id FROM approvals WHERE kind = 'dispute'")]
    status, body = await world.post(f"/approvals/{approval}/ruling", {"returned_fen": 0, "reason": "服务已完成"}, by=reviewer)
    assert status == 200, body
    assert (await counted(world), (await score(world, of(shop.seller)))["transactions"]) == (1, 120)


async def test_what_is_revoked_drops_out_and_the_history_says_so(world):
    seller = await world.institution()
    kept, gone = [await count(world, seller, "activity_filed") for _ in range(2)]
    await counted(world)
    await world.owner.execute("UPDATE score_events SET revoked_at = $2 WHERE subject_id = $1", gone, world.clock.now())
    assert [await counted(world), await counted(world)] == [1, 0]
    assert (await score(world, of(seller)))["activities"] == 240
    assert (await changes(world, of(seller)))[0] == ("activities", 480, 240, "events", {"activity_filed": -1})
    assert kept != gone


async def test_an_event_that_is_revoked_before_it_was_counted_never_shows(world):
    seller = await world.institution()
    await count(world, seller, "activity_filed")
    await world.owner.execute("UPDATE score_events SET revoked_at = happened_at")
    assert (await counted(world), await changes(world, of(seller))) == (0, [])


async def test_a_part_stops_at_its_most(world):
    seller = await world.institution()
    for _ in range(8):
        await count(world, seller, "activity_filed")
    await counted(world)
    found = await score(world, of(seller))
    assert (found["activities"], found["activity"]) == (1_500, 8 * 240)


# --- time -----------------------------------------------------------------------------------------------------------------


async def test_a_score_fades_by_a_twelfth_with_each_month_in_shanghai_to_the_microsecond(world):
    seller = await world.institution()
    await count(world, seller, "activity_filed")
    await counted(world)
    turn = datetime(2026, 4, 1, tzinfo=SHANGHAI)
    done = []
    for at in (turn - timedelta(microseconds=1), turn, turn, turn + timedelta(microseconds=1)):
        world.clock.set(at)
        done.append(await world.sweep(decay_scores))
    assert (done, (await score(world, of(seller)))["activities"]) == ([0, 1, 0, 0], 220)
    assert (await changes(world, of(seller)))[0] == ("activities", 240, 220, "decay", {})
    world.clock.set(datetime(2027, 3, 1, tzinfo=SHANGHAI))
    await world.sweep(decay_scores)
    assert await score(world, of(seller)) == score_model.score([], 0)


async def test_what_time_has_taken_is_not_put_down_to_an_event(world):
    seller = await world.institution()
    await count(world, seller, "activity_filed")
    await counted(world)
    world.clock.set(datetime(2026, 5, 1, tzinfo=SHANGHAI))
    await count(world, seller, "activity_filed")
    await counted(world)
    assert (await changes(world, of(seller)))[:2] == [
        ("activities", 200, 440, "events", {"activity_filed": 1}), ("activities", 240, 200, "decay", {}),
    ]


async def test_a_new_formula_recomputes_every_score_once(world):
    seller = await world.institution()
    await count(world, seller, "activity_filed")
    await counted(world)
    await world.owner.execute("UPDATE scores SET formula_version = 0, activities = 100, total = total - 140")
    assert [await world.sweep(decay_scores) for _ in range(2)] == [1, 0]
    assert (await changes(world, of(seller)))[0] == ("activities", 100, 240, "formula", {})


# --- consultants ----------------------------------------------------------------------------------------------------------


async def test_what_a_consultant_did_counts_for_both(world):
    seller = await world.institution()
    consultant_id, _ = await world.consultant(seller)
    await count(world, seller, "transaction_filed", consultant_id=consultant_id)
    await count(world, seller, "transaction_filed")
    await counted(world)
    assert (await score(world, of(seller)))["transactions"] == 240
    assert (await score(world, f"/consultants/{consultant_id}"))["transactions"] == 120
    assert await changes(world, f"/consultants/{consultant_id}") == [("transactions", 0, 120, "events", {"transaction_filed": 1})]
    status, body = await world.get("/consultants/999999999/score")
    assert (status, body["code"]) == (404, "not_found")


# --- all over again -------------------------------------------------------------------------------------------------------


EVENTS = st.lists(
    st.builds(
        Event, st.sampled_from([*score_model.POINTS, "review_received"]), st.integers(-14, 0), st.sampled_from(sorted(score_model.VALUES)),
    ), max_size=25,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, seed=st.integers(0, 2**31), batch=st.integers(1, 9), later=st.integers(0, 13))
async def test_counted_one_by_one_in_any_order_is_computed_anew_is_the_formula(world, events, seed, batch, later):
    chance = random.Random(seed)
    sellers = [await world.institution() for _ in range(2)]
    whose = {seller.organisation_id: [] for seller in sellers}
    begin = month_of(world.clock.now())
    for event in events:
        seller = chance.choice(sellers)
        subject_id = await count(world, seller, event.kind, months_ago=-event.month, grade=event.grade)
        if chance.random() < 0.3:
            await counted(world, batch)
        if chance.random() < 0.2:
            await world.owner.execute("UPDATE score_events SET revoked_at = happened_at WHERE subject_id = $1", subject_id)
        else:
            whose[seller.organisation_id].append(Event(event.kind, begin + event.month, event.grade))
    world.clock.advance(days=31 * later)
    await counted(world, batch)
    await world.sweep(decay_scores)
    expected = {seller.organisation_id: score_model.score(whose[seller.organisation_id], month_of(world.clock.now())) for seller in sellers}
    assert {seller.organisation_id: await score(world, of(seller)) for seller in sellers} == expected
    before = await world.owner.fetch(MONTHS)
    written = await world.value("SELECT count(*) FROM score_changes")
    await recompute(world.context(), sorted(whose))
    assert {seller.organisation_id: await score(world, of(seller)) for seller in sellers} == expected
    assert (await world.owner.fetch(MONTHS), await world.value("SELECT count(*) FROM score_changes")) == (before, written)
    await world.owner.execute("DELETE FROM score_events; DELETE FROM score_months; DELETE FROM score_changes; DELETE FROM scores")


MONTHS = """
SELECT institution_id, consultant_id, month, orders, transactions, activities, answers, reviews, review_value, points FROM score_months
WHERE orders + transactions + activities + answers + reviews > 0 ORDER BY 1, 2, 3
"""


async def test_an_administrator_has_a_score_computed_anew_and_nobody_else(world):
    seller, admin = await world.institution(), await world.official(Role.ADMIN)
    await count(world, seller, "activity_filed")
    await counted(world)
    await world.owner.execute("UPDATE score_months SET activities = 5, points = 1; UPDATE scores SET activities = 7, total = reviews + 7")
    status, body = await world.post(f"{of(seller)}/score/recomputation", by=admin)
    assert (status, body["total_hundredths"]) == (200, 3_040)
    assert (await changes(world, of(seller)))[0] == ("activities", 7, 240, "recomputed", {})
    status, body = await world.post(f"{of(seller)}/score/recomputation", by=seller)
    assert (status, body["code"]) == (403, "not_your_role")
    status, body = await world.post("/institutions/999999999/score/recomputation", by=admin)
    assert (status, body["code"]) == (404, "not_found")


# --- workers at once ------------------------------------------------------------------------------------------------------


async def two_workers(referee: Referee, world: World, second: Callable[[Member], Awaitable[Any]] | None = None) -> int:
    """Two workers with an event each, of different months of one institution; its activities afterwards."""
    seller = await world.institution()
    await count(world, seller, "activity_filed", months_ago=1)
    await counted(world)  # so that the score is there for both
    for months_ago in (0, 2):
        await count(world, seller, "activity_filed", months_ago=months_ago)
    read = "handlers.scores._lock_scores"
    referee.hold_after(read)

    async def one() -> int:
        return await count_events(world.context(), 1)

    outcomes = await referee.race(one, partial(second, seller) if second else one, hold=(read, COMMIT))
    assert not any(isinstance(each, BaseException) for each in outcomes), outcomes
    return (await score(world, of(seller)))["activities"]


@pytest.mark.parametrize("number", range(20))
async def test_two_workers_share_the_events_of_one_institution(world, referee, number):
    assert await two_workers(referee, world) == 220 + 240 + 200, number


async def test_without_the_lock_one_would_overwrite_what_the_other_counted(world, referee, monkeypatch):
    without(monkeypatch, "handlers.scores.LOCK", " FOR UPDATE OF s", "")
    assert await two_workers(referee, world) < 220 + 240 + 200
    await world.owner.execute("DELETE FROM score_months; DELETE FROM scores; DELETE FROM score_events")


async def test_a_recomputation_beside_the_counting_waits_for_it(world, referee):
    async def anew(seller: Member) -> None:
        await recompute(world.context(), [seller.organisation_id])

    await two_workers(referee, world, anew)
    await counted(world)
    [seller] = [each["institution_id"] for each in await world.owner.fetch("SELECT institution_id FROM scores")]
    _, body = await world.get(f"/institutions/{seller}/score")
    assert body["total_hundredths"] == 2_800 + 220 + 240 + 200


# --- rankings -------------------------------------------------------------------------------------------------------------


async def ranking(world: World, what: str, **query: object) -> list[Any]:
    """All pages, two at a time."""
    found, after = [], ""
    while True:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        status, page = await world.get(f"/rankings/{what}?limit=2&{text}{after}")
        assert status == 200, page
        found += page["items"]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


async def ranked(world: World) -> list[Member]:
    """Five institutions: the second and fourth do as much as each other, the fifth nothing, the third long ago."""
    sellers = [await world.institution() for _ in range(5)]
    for seller, done, months_ago in zip(sellers, (3, 2, 4, 2, 0), (0, 0, 1, 0, 0), strict=True):
        for _ in range(done):
            await count(world, seller, "activity_filed", months_ago=months_ago)
    await counted(world)
    return sellers


async def test_institutions_are_ranked_by_activity_page_by_page(world):
    sellers = await ranked(world)
    found = await ranking(world, "institutions")
    assert [(each["rank"], each["institution_id"], each["hundredths"]) for each in found] == [
        (1, sellers[2].organisation_id, 960), (2, sellers[0].organisation_id, 720), (3, sellers[1].organisation_id, 480),
        (4, sellers[3].organisation_id, 480),
    ]


async def test_a_month_is_ranked_by_what_happened_in_it(world):
    sellers = await ranked(world)
    assert [each["institution_id"] for each in await ranking(world, "institutions", month="2026-02")] == [sellers[2].organisation_id]
    found = await ranking(world, "institutions", month="2026-03")
    assert [each["institution_id"] for each in found] == [sellers[number].organisation_id for number in (0, 1, 3)]


async def test_the_score_ranks_as_well_and_knows_the_prior(world):
    sellers = await ranked(world)
    found = await ranking(world, "institutions", by="score")
    assert [(each["institution_id"], each["hundredths"]) for each in found][:2] == [
        (sellers[2].organisation_id, 2_800 + 880), (sellers[0].organisation_id, 2_800 + 720)]


async def test_only_institutions_that_are_open_and_of_the_division_are_ranked(world):
    here, elsewhere = await world.institution(), await world.institution(region_code="330106")
    suspended = await world.institution()
    for seller in (here, elsewhere, suspended):
        await count(world, seller, "activity_filed")
    await counted(world)
    await world.owner.execute("UPDATE organisations SET suspended_at = created_at WHERE id = $1", suspended.organisation_id)
    found = await ranking(world, "institutions", region_code=JINAN)
    assert [each["institution_id"] for each in found] == [here.organisation_id]
    assert len(await ranking(world, "institutions")) == 2


async def test_consultants_are_ranked_while_they_represent_an_institution(world):
    seller = await world.institution()
    first, second, gone = [(await world.consultant(seller))[0] for _ in range(3)]
    for consultant_id, done in ((first, 1), (second, 2), (gone, 3)):
        for _ in range(done):
            await count(world, seller, "demand_answered", consultant_id=consultant_id)
    await counted(world)
    assert (await world.delete(f"/institution/consultants/{gone}", by=seller))[0] == 200
    found = await ranking(world, "consultants")
    assert [(each["rank"], each["consultant_id"], each["display_name"], each["hundredths"]) for each in found] == [
        (1, second, "张顾问", 120), (2, first, "张顾问", 60)]
    assert [each["consultant_id"] for each in await ranking(world, "consultants", month="2026-03")] == [second, first]


async def test_a_blind_review_does_not_move_the_score(world):
    shop: Shop = await open_shop(world, mutual_review=True)
    order_id = await shop.completed()
    await shop.ok(shop.buyer, order_id, "review", REVIEW)
    await counted(world)
    assert (await score(world, of(shop.seller)))["reviews"] == 2_800
    await shop.ok(shop.seller, order_id, "enterprise-review", {"grade": "good"})
    await counted(world)
    assert (await score(world, of(shop.seller)))["reviews"] == 3_000
