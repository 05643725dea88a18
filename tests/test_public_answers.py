"""What everybody may read, walked in one go: no personal value, no platform's name of a person, no word that is not public."""

import re

from handlers import content_checks
from handlers.personal import seal
from tests.matrix import OPERATIONS, Caller, Scene, ask, missing, scene, things_in
from tests.shop import Shop, open_shop
from tests.world import World

PHONE, NAME, ACCOUNT = "13912345678", "欧阳测试甲", "6217000000001234567"
# What nobody but its author, or the other side, may read.
WORDS = {
    "blind": "盲评里的话", "pending": "还没审的话", "hidden": "没通过的话", "platform": "只对平台说的话", "enterprise": "只对企业说的话",
    "reply": "还没审的回复",
}
MOBILE = re.compile(r"(?<![\d-])1[3-9]\d{9}(?!\d)")
ANYBODY = Caller("anonymous", signed_in=False)


async def said(world: World, shop: Shop) -> None:
    """One order for each kind of words that are not public."""
    for kind in ("blind", "pending", "hidden"):
        order = await shop.completed()
        review = await shop.ok(shop.buyer, order, "review", {
            "grade": "bad", "text": WORDS[kind], "platform_stars": 1, "platform_text": WORDS["platform"],
        })
        if kind == "blind":
            continue
        await shop.ok(shop.seller, order, "enterprise-review", {"grade": "bad", "text": WORDS["enterprise"]})
        status, body = await world.post(f"/reviews/{review['id']}/reply", {"text": WORDS["reply"]}, by=shop.seller)
        assert status == 201, body
        reply = await world.value("SELECT id FROM review_replies WHERE review_id = $1", review["id"])
        await _check(world, shop, "review", review["id"], kind)
        await _check(world, shop, "review_reply", reply, "pending")


async def _check(world: World, shop: Shop, subject: str, subject_id: int, state: str) -> None:
    now = world.clock.now()
    await world.owner.execute(
        "INSERT INTO content_checks (subject, subject_id, text, identity_id, person_id, organisation_id, state, tries, next_at, decided_at,"
        " reason, created_at) VALUES ($1,$2,'',$3,$4,$5,$6::text,0, CASE WHEN $6::text = 'pending' THEN $7::timestamptz END,"
        " CASE WHEN $6::text = 'hidden' THEN $7::timestamptz END, CASE WHEN $6::text = 'hidden' THEN '不宜公开' END, $7)",
        subject, subject_id, shop.buyer.identity_id, shop.buyer.person_id, shop.buyer.organisation_id, state, now,
    )


async def everything(world: World) -> tuple[Scene, Shop]:
    found = await scene(world)
    shop = await open_shop(world, mutual_review=True)
    await said(world, shop)
    await world.consultant(shop.seller)
    await world.owner.execute("UPDATE persons SET name = $1, phone = $2", seal(world.settings, NAME), seal(world.settings, PHONE))
    await world.owner.execute(
        "UPDATE institutions SET contact_name = $1, contact_phone = $2, bank_account = $3, landline = '0531-88886666'",
        seal(world.settings, NAME), seal(world.settings, PHONE), seal(world.settings, ACCOUNT),
    )
    found[1].add("other shop", set(), institution_id=shop.seller.organisation_id, product_id=shop.product_id)
    return found, shop


async def secrets(world: World) -> set[str]:
    open_ids = {row["open_id"] for row in await world.owner.fetch("SELECT open_id FROM identities")}
    return {PHONE, NAME, ACCOUNT, *WORDS.values(), *open_ids}


async def told(world: World, found: Scene) -> tuple[list[str], int]:
    """(what was told that should not be, how many answers were read)."""
    things, never, wrong, read = found[1], await secrets(world), [], 0
    for operation in (each for each in OPERATIONS if each.who.anonymous and each.method == "GET"):
        names = [*(things_in(operation) or ()), "other shop"] if operation.parameters else ["other shop"]
        for name in names:
            answer = await ask(world, operation, ANYBODY, missing(operation) | things.ids[name])
            read += answer.status == 200
            text = answer.body.decode("utf-8", "replace")
            wrong += [f"{operation.name} of the {name}: {word}" for word in never if word in text]
            wrong += [f"{operation.name} of the {name}: a mobile" for _ in MOBILE.findall(text)]
    return wrong, read


async def test_no_public_answer_tells_what_is_not_public(world):
    found, shop = await everything(world)
    wrong, read = await told(world, found)
    assert wrong == []
    assert read >= 20
    _, page = await world.get(f"/institutions/{shop.seller.organisation_id}/reviews")
    assert sorted(each["text_state"] for each in page["items"]) == ["hidden", "pending"]
    assert {each["reply"] for each in page["items"]} == {None}


async def test_a_leak_is_found(world, monkeypatch):
    found, _ = await everything(world)
    monkeypatch.setattr("handlers.reviews_lists.text_of", lambda text, _found, author: (text, "passed"))
    monkeypatch.setattr("handlers.institutions.mask_name", lambda name: name)
    wrong, _ = await told(world, found)
    assert {f"list_reviews of the other shop: {WORDS['pending']}", f"list_reviews of the other shop: {WORDS['hidden']}",
            f"get_institution of the other shop: {NAME}"} <= set(wrong)
    assert content_checks.SUBJECTS.keys() >= {"review", "enterprise_review", "review_reply"}
