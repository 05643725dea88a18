"""Every operation, tried by every role, on what is theirs and on what is not: who may, and what the others cannot find out.

Generated from the routes. A new route is tried without a line here; one whose path names a new kind of thing needs an entry in
`tests.matrix.PATHS`, or the first test fails.
"""

import json
import re
from typing import Any

import pytest

from handlers import application_views, steps
from handlers.consultants import views as consultant_views
from handlers.demands import views as demand_views
from handlers.filings import objecting
from handlers.orders import views as order_views
from handlers.steps import ACTORS
from miniapp_api.routing import Operation, Permission
from models.accounts import Role
from tests.matrix import (
    NOT_YET,
    NOTHING,
    OPERATIONS,
    PATHS,
    STEPS,
    Answer,
    Caller,
    Scene,
    Things,
    ask,
    missing,
    names_things,
    permitted,
    scene,
    step,
    things_in,
    view_of,
)
from tests.world import World

WITH_IDS = [operation for operation in OPERATIONS if operation.parameters]
# These end the caller's own sessions: they are tried last, and each with the permission alone in mind.
LAST = ("revoke_other_sessions", "log_out")
IGNORED = {"sessions", "idempotency_keys", "write_probes"}


def test_every_path_with_an_id_says_whose_thing_it_is():
    assert [f"{each.method} {each.path}" for each in WITH_IDS if things_in(each) is None] == []
    assert len(OPERATIONS) > 130


def test_no_entry_is_left_over():
    paths = [f"{each.method} {each.path}" for each in OPERATIONS]
    assert [pattern for pattern, _ in PATHS if not any(re.search(pattern, path) for path in paths)] == []
    assert set(NOTHING | NOT_YET) - {each.name for each in OPERATIONS} == set()


# --- who may ------------------------------------------------------------------------------------------------------------


async def intrusions(world: World, people: dict[str, Caller], operations: list[Operation]) -> list[str]:
    """Answers that the declared permission does not explain. What is let in meets a body or an id that goes nowhere."""
    wrong = []
    for operation in operations:
        for caller in people.values():
            expected = permitted(operation, caller)
            answer = await ask(world, operation, caller, missing(operation), body=[] if not operation.parameters else ...)
            if not explained(answer, expected):
                wrong.append(f"{operation.name} by {caller.name}: {answer.status} {answer.code}, expected {expected or 'to be let in'}")
    return wrong


def explained(answer: Answer, expected: int | None) -> bool:
    if expected == 401:
        return answer.status == 401 and answer.code in ("not_signed_in", "session_ended")
    if expected == 403:
        return (answer.status, answer.code) == (403, "not_your_role")
    return answer.status not in (401, 405) and answer.status < 500


async def test_every_operation_lets_in_whom_it_declares_and_nobody_else(world):
    people, _ = await scene(world)
    wrong = await intrusions(world, people, [each for each in OPERATIONS if each.name not in LAST])
    wrong += await intrusions(world, people, [next(each for each in OPERATIONS if each.name == name) for name in LAST])
    assert not wrong, "\n".join(wrong)


# --- what is offered ----------------------------------------------------------------------------------------------------


async def false_offers(world: World, found: Scene) -> tuple[list[str], set[str]]:
    """Verbs of `allowed_actions` that the route would refuse to this reader; and the verbs that were offered to anybody."""
    people, things = found
    wrong, offered = [], set()
    for page in (each for each in OPERATIONS if each.method == "GET" and view_of(each)):
        view = view_of(page) or ""
        ids: list[dict[str, Any]] = [things.ids[name] for name in things_in(page) or ()] if page.parameters else [{}]
        if "wanted" in {each.name for each in page.parameters}:
            ids = [each | {"wanted": "supermarket-certification"} for each in ids]
        for caller in (each for each in people.values() if permitted(page, each) is None):
            for answer in [await ask(world, page, caller, each) for each in ids]:
                body = json.loads(answer.body) if answer.status == 200 else {"items": []}
                verbs = {verb for one in ([body] if "allowed_actions" in body else body["items"]) for verb in one["allowed_actions"]}
                offered |= {f"{view}.{verb}" for verb in verbs}
                wrong += [f"{page.name} offers {caller.name} to {verb}" for verb in sorted(verbs)
                          if permitted(step(page, view, verb), caller) is not None]
    return wrong, offered


async def test_nobody_is_offered_what_is_refused_to_their_role(world):
    found = await scene(world)
    await world.owner.execute(
        "UPDATE applications SET state = 'approved', decided_at = submitted_at WHERE state = 'submitted' AND kind = 'certification'"
    )
    wrong, offered = await false_offers(world, found)
    assert not wrong, "\n".join(wrong)
    # Of every view something was offered to somebody, or the test has looked at nothing.
    assert {name.partition(".")[0] for name in offered} == set(STEPS)
    assert "ApplicationView.amend" in offered


@pytest.mark.parametrize(("view", "table"), [
    ("ApplicationView", application_views.STEPS), ("DemandView", demand_views.STEPS), ("ConsultantView", consultant_views.STEPS),
    ("NamingFilingView", objecting.STEPS),
])
def test_the_routes_let_in_for_each_step_whom_it_is_offered_to(view, table):
    pages = [each for each in OPERATIONS if each.method == "GET" and view_of(each) == view and each.answer.__name__ == view]
    assert pages
    assert set(table) == set(STEPS[view])
    assert [f"{page.name}: {verb}" for page in pages for verb in table if step(page, view, verb).who.roles != ACTORS] == []


def test_the_routes_let_in_for_each_step_of_an_order_whom_it_is_offered_to():
    page = next(each for each in OPERATIONS if each.name == "get_order")
    assert set(order_views.ACTIONS) == set(STEPS["OrderView"])
    for verb, (side, roles, _) in order_views.ACTIONS.items():
        who = step(page, "OrderView", verb).who
        assert (verb, who.roles) == (verb, roles)
        assert side is None or who.kinds == {side}


# --- what others cannot find out ----------------------------------------------------------------------------------------


async def leaks(world: World, found: Scene, operations: list[Operation]) -> list[str]:
    """Where the answer about a thing of others differs from the answer about nothing."""
    people, things = found
    wrong = []
    for operation in operations:
        for caller in people.values():
            if permitted(operation, caller) is not None:
                continue
            nothing = await ask(world, operation, caller, missing(operation))
            if nothing.status not in NOTHING.get(operation.name, {404}):
                wrong.append(f"{operation.name} by {caller.name}: {nothing.status} {nothing.code} for what does not exist")
            foreign = [name for name in things_in(operation) or () if caller.name not in things.insiders[name]]
            answers = {name: await ask(world, operation, caller, things.ids[name]) for name in foreign}
            wrong += [f"{operation.name} by {caller.name} tells of the {name}" for name in foreign if answers[name] != nothing]
    return wrong


async def locked_out(world: World, found: Scene, operations: list[Operation]) -> list[str]:
    """Insiders who do not find what is theirs: with them the test before would prove nothing. Deletions come last."""
    people, things = found
    wrong = []
    for operation in sorted(operations, key=lambda each: (("GET", "POST", "PUT", "DELETE").index(each.method), -len(each.path))):
        for name in things_in(operation) or ():
            inside = [people[who] for who in sorted(things.insiders[name]) if permitted(operation, people[who]) is None]
            answers = {caller.name: await ask(world, operation, caller, things.ids[name]) for caller in inside}
            lost = all(answer.status in (404, 415) or answer.status >= 500 for answer in answers.values())
            if answers and lost and operation.name not in NOT_YET:
                wrong.append(f"{operation.name}: the {name} is found by none of {sorted(answers)}")
    return wrong


async def tables(world: World) -> dict[str, Any]:
    names = [row["tablename"] for row in await world.owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return await world.snapshot(*sorted(set(names) - IGNORED))


async def test_what_is_not_yours_answers_as_what_does_not_exist_and_nothing_changes(world):
    found = await scene(world)
    before = await tables(world)
    wrong = await leaks(world, found, [each for each in WITH_IDS if names_things(each)])
    assert not wrong, "\n".join(wrong)
    assert await tables(world) == before
    wrong = await locked_out(world, found, WITH_IDS)
    assert not wrong, "\n".join(wrong)


# --- the matrix itself --------------------------------------------------------------------------------------------------


async def test_a_hole_in_a_permission_is_found(world, monkeypatch):
    people, _ = await scene(world)
    monkeypatch.setattr(Permission, "allows", lambda self, actor: actor.person_id is not None or self.anonymous)
    orders = [each for each in OPERATIONS if each.name in ("list_seals", "get_order")]
    found = await intrusions(world, people, orders)
    assert "list_seals by buyer_owner: 200 , expected 403" in found
    assert not any("anonymous" in line for line in found)


async def test_a_hole_in_a_scope_is_found(world, monkeypatch):
    from handlers.orders import views

    found = await scene(world)
    monkeypatch.setattr(views, "LOCK_OWN", f"{views.OWN} FOR UPDATE OF o")
    told = await leaks(world, found, [each for each in OPERATIONS if each.name == "accept_order"])
    assert told == [f"accept_order by rival_{role} tells of the order" for role in ("owner", "handler")]


async def test_an_offer_to_who_may_only_look_is_found(world, monkeypatch):
    found = await scene(world)
    monkeypatch.setattr(steps, "ACTORS", frozenset(Role))
    wrong, _ = await false_offers(world, found)
    assert {"get_demand offers buyer_viewer to close", "get_certification offers buyer_finance to withdraw",
            "list_consultants offers seller_viewer to invite", "get_naming_filing offers buyer_viewer to object"} <= set(wrong)


def test_an_answer_that_tells_more_than_nothing_is_told_apart():
    nothing, something = Answer(404, b'{"code":"not_found","data":{}}'), Answer(404, b'{"code":"not_found","data":{"id":1}}')
    assert nothing != something
    assert nothing.code == "not_found"
    assert Things().ids == {}
