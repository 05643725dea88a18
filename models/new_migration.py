"""`make migration NAME=...`: write the next migration from the models, with its constraints where they take effect.

Tortoise 1.1.9 drops `Meta.constraints` of a new table without a word: CreateModel carries them and its SQL does not. So the
SQL of all of them follows in one operation, which does reach the database; tests/test_schema.py compares both. One operation,
because Tortoise draws every model anew before each: two hundred AddConstraints took 25 seconds.
"""

import asyncio
import sys
from pathlib import Path

from tortoise import Tortoise
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint
from tortoise.migrations.operations import CreateModel

from models.database import configuration


def sql_of(table: str, constraint: CheckConstraint | UniqueConstraint) -> str:
    if isinstance(constraint, CheckConstraint):
        return f"ALTER TABLE {table} ADD CONSTRAINT {constraint.name} CHECK ({constraint.check})"
    columns = ", ".join(constraint.fields)
    if constraint.condition:
        return f"CREATE UNIQUE INDEX {constraint.name} ON {table} ({columns}) WHERE {constraint.condition}"
    return f"ALTER TABLE {table} ADD CONSTRAINT {constraint.name} UNIQUE ({columns})"


def with_constraints(source: str, statements: list[str]) -> str:
    """Their way back needs nothing: they go with their tables. Tortoise's own writer knows no RunSQL."""
    if not statements:
        return source
    head, closing, tail = source.rpartition("    ]")
    sql = "".join(f"{statement};\n" for statement in statements)
    return f'{head}        ops.RunSQL("""\n{sql}""", reverse_sql="SELECT 1"),\n{closing}{tail}'


async def write(name: str) -> str | None:
    """Write `NNNN_name.py` and return its path, or None when the models and the migrations agree."""
    config = configuration("postgresql://nobody@127.0.0.1:1/none")  # the detector compares files, it connects to nothing
    await Tortoise.init(config=config, init_connections=False, _enable_global_fallback=True)
    for writer in await MigrationAutodetector(Tortoise.apps, config["apps"]).changes():
        writer.name = f"{writer.name.split('_', 1)[0]}_{name}"
        statements = [
            sql_of(str(options["table"]), constraint)
            for options in (each.options or {} for each in writer.operations if isinstance(each, CreateModel))
            for constraint in options.get("constraints", ())
        ]
        path = Path(writer.write())
        path.write_text(with_constraints(path.read_text(encoding="utf-8"), statements), encoding="utf-8")  # noqa: ASYNC240
        return str(path)
    return None


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(write(sys.argv[1])) or 'No changes.'}\n")
