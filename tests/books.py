"""After every test the books must balance: the same invariants that `check-books` proves every night."""

from handlers import audit

_expected: set[str] = set()


def expect_broken(*invariants: str) -> None:
    """For a test that breaks the books on purpose, behind the code's back: exactly these must be found afterwards."""
    _expected.update(invariants)


async def assert_books_balance() -> None:
    expected = set(_expected)
    _expected.clear()
    broken = await audit.check_books()
    assert set(broken) == expected, broken
