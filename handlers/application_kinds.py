"""What differs between the kinds of application; the one engine that they share is handlers/applications.py.

A feature describes its kind here by registering it: the form in its versions, the files, who reviews, what must be true before,
what approval brings about.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from handlers.application_forms import Form, ProblemView
from handlers.context import Context
from handlers.file_types import FileSlot
from handlers.personal import mask_account, mask_email, mask_id_number, mask_name, mask_phone
from handlers.transactions import Transaction
from models.accounts import Role
from models.approvals import ApplicationKind

# Personal fields of any form: sealed columns of `applications`, and how each is shown.
MASKS: Mapping[str, Callable[[str], str]] = {
    "contact_name": mask_name, "contact_phone": mask_phone, "contact_email": mask_email, "legal_person_name": mask_name,
    "legal_person_id_number": mask_id_number, "bank_account": mask_account,
}


class Requalify(StrEnum):
    """`requalify_on_update` (decision 0030): whether an approved form that is amended goes to a reviewer again."""

    NONE = "none"
    SENSITIVE_FIELDS = "sensitive_fields"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Case:
    """An application with what its rules look at: its row, its organisation's row, and the whole form in clear."""

    application: Any
    organisation: Any
    form: Mapping[str, Any]


async def where_it_sits(_tx: Transaction, application: Any, organisation: Any) -> tuple[str | None, int | None]:
    """(division, park) of the organisation: its own reviewers are responsible, unless a kind says otherwise."""
    return organisation.region_code or application.form["region_code"], organisation.park_id


@dataclass(frozen=True, slots=True)
class KindRules:
    """`forms` by version, the newest in force. `working_days`: the promise to the applicant.

    guard: raises a Refusal when the organisation may not submit such an application (the chain of preconditions).
    compare: what in the form contradicts what we know. requalify: the policy that is in force for this application.
    on_approved: what approval brings about, in its transaction. award: the same where the decision carries more than a yes.
    place: whose reviewers decide. on_submitted, on_withdrawn: what goes with it in the same transaction.
    """

    kind: ApplicationKind
    title: str
    forms: Mapping[int, type[Form]]
    required_files: tuple[FileSlot, ...]
    optional_files: tuple[FileSlot, ...]
    role: Role
    working_days: int
    sensitive: frozenset[str]
    guard: Callable[[Transaction, Case], Awaitable[None]]
    compare: Callable[[Transaction, Case], Awaitable[list[ProblemView]]]
    requalify: Callable[[Transaction, Any], Awaitable[Requalify]]
    on_approved: Callable[[Context, Transaction, Any], Awaitable[None]]
    award: Callable[[Context, Transaction, Any, Mapping[str, Any]], Awaitable[None]] | None = None
    place: Callable[[Transaction, Any, Any], Awaitable[tuple[str | None, int | None]]] = where_it_sits
    on_submitted: Callable[[Context, Transaction, Any], Awaitable[None]] | None = None
    on_withdrawn: Callable[[Context, Transaction, Any], Awaitable[None]] | None = None

    @property
    def form_version(self) -> int:
        return max(self.forms)

    @property
    def form(self) -> type[Form]:
        return self.forms[self.form_version]

    @property
    def slots(self) -> dict[str, FileSlot]:
        return {slot.name: slot for slot in (*self.required_files, *self.optional_files)}

    @property
    def personal(self) -> frozenset[str]:
        return frozenset(MASKS) & frozenset(self.form.model_fields)


KINDS: dict[ApplicationKind, KindRules] = {}


def register(rules: KindRules) -> KindRules:
    KINDS[rules.kind] = rules
    return rules
