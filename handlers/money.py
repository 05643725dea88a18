"""Amounts of fen as yuan that people read: always with two decimals, whatever the sign."""


def yuan(fen: int) -> str:
    """-1234.50: for templates, csv and formulas."""
    return grouped_yuan(fen).replace(",", "")


def in_yuan(fen: int) -> str:
    """-1234.50 元: where nothing around it says what it is, as in a reviewer's checklist."""
    return f"{yuan(fen)} 元"


def grouped_yuan(fen: int) -> str:
    """-1,234.50: for printed pages."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"
