"""What may be done with a thing as it is: the use-case refuses by the table that its page offers by (`allowed_actions`)."""

from collections.abc import Mapping
from enum import StrEnum

from handlers.context import Context
from models.accounts import Role

Steps = Mapping[str, frozenset[StrEnum]]  # verb -> the states in which it can be done

# Of an organisation's people: finance pays and a viewer looks, the rest is done by these. The routes let in the same
# (tests/test_matrix.py), so that nobody is offered what `not_your_role` would answer.
ACTORS = frozenset({Role.OWNER, Role.HANDLER})


def may(ctx: Context, steps: Steps, verb: str, state: str) -> bool:
    """Guard and offer in one: whether the actor may do `verb` with a thing of their organisation in this state."""
    return ctx.actor.role in ACTORS and state in steps[verb]


def offered(ctx: Context, steps: Steps, state: str) -> list[str]:
    return [verb for verb in steps if may(ctx, steps, verb, state)]
