"""What an organisation is recognised by: its people, phones, addresses, accounts and devices (F02, F03).

A company that is both an enterprise and an institution is one company: each has the traits of the other too.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handlers.personal import blind_index, mask_account, mask_id_number, mask_name, mask_phone, normalise, open_or_skip
from handlers.transactions import Transaction
from models.risks import Trait

# A registered address that so many share is an incubator's or an agent's, and says nothing about any two of them.
CROWD = 20
DEVICE_SHOWN = "同一台设备"


@dataclass(frozen=True, slots=True)
class Found:
    """`value` is fit to be shown: masked where it is personal; `at`: since when we know it."""

    organisation_id: int
    kind: Trait
    digest: bytes
    what: str
    value: str
    at: datetime

    @property
    def key(self) -> tuple[Trait, bytes]:
        return self.kind, self.digest


ONE_COMPANY = """
SELECT o.id, t.id AS source_id FROM organisations o
JOIN organisations t ON t.id = o.id OR t.credit_code = o.credit_code AND t.kind IN ('enterprise', 'institution')
WHERE o.id = ANY($1)
"""
PEOPLE = """
SELECT m.organisation_id, p.id AS person_id, p.name, p.phone, min(m.created_at) AS at
FROM memberships m JOIN persons p ON p.id = m.person_id
WHERE m.organisation_id = ANY($1) GROUP BY m.organisation_id, p.id ORDER BY m.organisation_id, p.id
"""
FORMS = """
SELECT organisation_id, contact_phone, legal_person_id_number, bank_account, form->>'address' AS address, submitted_at AS at
FROM applications WHERE organisation_id = ANY($1) AND submitted_at IS NOT NULL AND state <> 'withdrawn' ORDER BY id
"""
IN_FORCE = """
SELECT organisation_id, contact_phone, NULL::bytea AS legal_person_id_number, bank_account, address, updated_at AS at
FROM institutions WHERE organisation_id = ANY($1)
"""
DEVICES = """
SELECT m.organisation_id, s.device_index, min(s.created_at) AS at FROM sessions s JOIN memberships m ON m.id = s.membership_id
WHERE m.organisation_id = ANY($1) AND s.device_index IS NOT NULL GROUP BY m.organisation_id, s.device_index
"""
SEALED: tuple[tuple[str, Trait, str, Callable[[str], str]], ...] = (
    ("contact_phone", Trait.PHONE, "联系电话", mask_phone),
    ("legal_person_id_number", Trait.LEGAL_PERSON, "法定代表人身份证号", mask_id_number),
    ("bank_account", Trait.BANK_ACCOUNT, "银行账号", mask_account),
)
KEEP = """
WITH given AS (
  SELECT * FROM unnest($1::bigint[], $2::varchar[], $3::bytea[]) AS g(organisation_id, kind, digest) ORDER BY 1, 2, 3
), gone AS (
  DELETE FROM party_traits t WHERE t.organisation_id = ANY($4)
    AND NOT EXISTS (SELECT 1 FROM given g WHERE (g.organisation_id, g.kind, g.digest) = (t.organisation_id, t.kind, t.digest))
)
INSERT INTO party_traits (organisation_id, kind, digest, noted_at) SELECT organisation_id, kind, digest, $5 FROM given
ON CONFLICT (organisation_id, kind, digest) DO NOTHING
"""


async def refresh(tx: Transaction, organisation_ids: Iterable[int]) -> list[Found]:
    """Read the traits of these organisations as they are now, and keep their keyed hashes to find others by."""
    wanted = sorted(set(organisation_ids))
    found = await gather(tx, wanted)
    keys = sorted({(one.organisation_id, str(one.kind), one.digest) for one in found})
    columns = [list(column) for column in zip(*keys, strict=True)] or [[], [], []]
    await tx.run(KEEP, *columns, wanted, tx.ctx.now)
    return found


async def gather(tx: Transaction, organisation_ids: list[int]) -> list[Found]:
    companies = await tx.rows(ONE_COMPANY, organisation_ids)
    sources = sorted({company.source_id for company in companies})
    by_source: dict[int, list[Found]] = {}
    for one in await _of(tx, sources):
        by_source.setdefault(one.organisation_id, []).append(one)
    return [
        Found(company.id, one.kind, one.digest, one.what, one.value, one.at)
        for company in companies for one in by_source.get(company.source_id, ())
    ]


async def _of(tx: Transaction, sources: list[int]) -> list[Found]:
    settings, found = tx.ctx.settings, []
    for person in await tx.rows(PEOPLE, sources):
        name = open_or_skip(settings, person.name, "persons.name", person.person_id) if person.name else None
        shown = mask_name(name) if name else f"人员 {person.person_id}"
        digest = blind_index(settings, f"person {person.person_id}")
        found.append(Found(person.organisation_id, Trait.PERSON, digest, "办事人员", shown, person.at))
        if person.phone:
            found += _sealed(tx, person, person.phone, Trait.PHONE, "人员手机号", mask_phone)
    for form in [*await tx.rows(FORMS, sources), *await tx.rows(IN_FORCE, sources)]:
        for column, kind, what, mask in SEALED:
            if form[column]:
                found += _sealed(tx, form, form[column], kind, what, mask)
        if place := plain_address(form.address or ""):
            digest = blind_index(settings, f"address {place}")
            found.append(Found(form.organisation_id, Trait.ADDRESS, digest, "地址", form.address, form.at))
    found += [
        Found(device.organisation_id, Trait.DEVICE, bytes(device.device_index), "登录设备", DEVICE_SHOWN, device.at)
        for device in await tx.rows(DEVICES, sources)
    ]
    return found


def _sealed(tx: Transaction, row: Any, blob: bytes, kind: Trait, what: str, mask: Callable[[str], str]) -> list[Found]:
    """Nothing of a value that does not open: the other traits, and all other orders, are still looked at."""
    opened = open_or_skip(tx.ctx.settings, blob, f"{kind} of organisation", row.organisation_id)
    if opened is None:
        return []
    text = normalise(opened)
    return [Found(row.organisation_id, kind, blind_index(tx.ctx.settings, text), what, mask(text), row.at)]


PLACES = re.compile(r"^(?:[一-鿿]{2,8}?(?:省|自治区))?(?:[一-鿿]{2,6}?市)?(?:[一-鿿]{1,6}?[区县])?")
NUMBERED = re.compile(r"(?:号楼|栋|幢|座)")


def plain_address(address: str) -> str:
    """One spelling of an address: width, spaces, punctuation, province to county, 栋 for 号楼, a last 室. "" if it is too vague."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKC", address).upper() if letter.isalnum())
    street = NUMBERED.sub("栋", PLACES.sub("", letters)).removesuffix("室")
    return street if len(street) >= 4 and any(letter.isdigit() for letter in street) else ""
