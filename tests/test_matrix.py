"""Every operation, tried by every role, on what is theirs and on what is not: who may, and what the others cannot find out.

Generated from the routes. A new route is tried without a line here; one whose path names a new kind of thing needs an entry in
`tests.matrix.PATHS`, or the first test fails.
"""

import re
from typing import Any

from miniapp_api.routing import Operation, Permission
from tests.matrix import (
    NOT_YET,
    NOTHING,
    OPERATIONS,
    PATHS,
    Answer,
    Caller,
    Scene,
    Things,
    ask,
    missing,
    names_things,
    permitted,
    scene,
    things_in,
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


def test_an_answer_that_tells_more_than_nothing_is_told_apart():
    nothing, something = Answer(404, b'{"code":"not_found","data":{}}'), Answer(404, b'{"code":"not_found","data":{"id":1}}')
    assert nothing != something
    assert nothing.code == "not_found"
    assert Things().ids == {}
