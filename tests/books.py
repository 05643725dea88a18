"""After every test the books must balance: the same invariants that `check-books` proves every night."""

from handlers import audit


async def assert_books_balance() -> None:
    broken = await audit.check_books()
    assert broken == {}, broken
