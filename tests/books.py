"""After every test the books must balance: the same invariants that `check-books` proves every night."""

import asyncpg

from handlers import audit
from handlers.invariants import INVARIANTS

_expected: set[str] = set()


def expect_broken(*invariants: str) -> None:
    """For a test that breaks the books on purpose, behind the code's back: exactly these must be found afterwards."""
    _expected.update(invariants)


class Books:
    """All invariants in one statement that is planned once: a hundred of them one by one took longer than most tests."""

    def __init__(self, proof: asyncpg.prepared_stmt.PreparedStatement) -> None:
        self._proof = proof

    @classmethod
    async def opened(cls, owner: asyncpg.Connection) -> "Books":
        # Chains are proved by `check_books` alone, where there are any.
        suspects = " OR ".join(f"EXISTS ({sql})" for sql in (*INVARIANTS.values(), "SELECT FROM seals"))
        return cls(await owner.prepare(f"SELECT {suspects}"))

    async def broken(self) -> dict[str, list[dict[str, object]]]:
        """What `check_books` finds."""
        return await audit.check_books() if await self._proof.fetchval() else {}

    async def assert_balance(self) -> None:
        expected = set(_expected)
        _expected.clear()
        broken = await self.broken()
        assert set(broken) == expected, broken
