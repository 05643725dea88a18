"""Proving the books: every invariant is one SQL query that must find nothing (docs/invariants.md)."""

from handlers.transactions import rows

# name -> a query whose rows are the breaks
INVARIANTS: dict[str, str] = {}


async def check_books() -> dict[str, list[dict[str, object]]]:
    """Every broken invariant with up to ten of its breaks; empty when the books balance."""
    broken: dict[str, list[dict[str, object]]] = {}
    for name, sql in INVARIANTS.items():
        if breaks := await rows(f"SELECT * FROM ({sql}) broken LIMIT 10"):
            broken[name] = [dict(row) for row in breaks]
    return broken
