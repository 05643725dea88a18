"""Who asks, when, and with what: given to every use-case, so that nothing inside reads a clock, a global or the environment."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from handlers.ports import Ports
from models.accounts import OrganisationKind, Role
from settings import Settings


@dataclass(frozen=True, slots=True)
class Actor:
    """A person in the role of one membership. Jobs act as SYSTEM; a person without an organisation has no `organisation_id`."""

    role: Role | None = None
    person_id: int | None = None
    session_id: int | None = None
    identity_id: int | None = None
    membership_id: int | None = None
    organisation_id: int | None = None
    organisation_kind: OrganisationKind | None = None
    region_code: str | None = None  # jurisdiction of an official
    park_id: int | None = None


SYSTEM = Actor(role=Role.SYSTEM)


@dataclass(slots=True)
class Idempotency:
    """The client's key for this request, its operation and the HMAC of what it asks: never a plain hash, bodies are guessed.

    `body_hash` is empty while a file is on its way: it is known after the last byte, which is before anything is answered.
    """

    principal: str
    operation: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Context:
    actor: Actor
    now: datetime  # aware, UTC
    settings: Settings = field(repr=False)
    ports: Ports = field(repr=False)
    request_id: str = "-"
    idempotency: Idempotency | None = None
    read: Any = field(default=None, repr=False)  # what the route's `reads` found, a moment ago; see sessions.Reading

    def at(self, now: datetime) -> Self:
        return replace(self, now=now)

    @property
    def person_id(self) -> int:
        assert self.actor.person_id is not None, "the route lets only signed-in people in"
        return self.actor.person_id

    @property
    def organisation_id(self) -> int:
        assert self.actor.organisation_id is not None, "the route lets only members of an organisation in"
        return self.actor.organisation_id

    @property
    def membership_id(self) -> int:
        assert self.actor.membership_id is not None, "the route lets only members of an organisation in"
        return self.actor.membership_id
