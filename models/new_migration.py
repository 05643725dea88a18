"""`make migration NAME=...`: write the next migration from the models, with its constraints where they take effect.

Tortoise 1.1.9 drops `Meta.constraints` of a new table without a word: CreateModel carries them and the SQL does not.
So they are moved into AddConstraint operations, which do reach the database; tests/test_schema.py compares both.
"""

import asyncio
import sys

from tortoise import Tortoise
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.operations import AddConstraint, CreateModel

from models.database import configuration


async def write(name: str) -> str | None:
    """Write `NNNN_name.py` and return its path, or None when the models and the migrations agree."""
    config = configuration("postgresql://nobody@127.0.0.1:1/none")  # the detector compares files, it connects to nothing
    await Tortoise.init(config=config, init_connections=False, _enable_global_fallback=True)
    for writer in await MigrationAutodetector(Tortoise.apps, config["apps"]).changes():
        moved = [
            AddConstraint(operation.name, constraint)
            for operation in writer.operations if isinstance(operation, CreateModel)
            for constraint in (operation.options or {}).pop("constraints", ())
        ]
        writer.operations.extend(moved)
        writer.name = f"{writer.name.split('_', 1)[0]}_{name}"
        return str(writer.write())
    return None


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(write(sys.argv[1])) or 'No changes.'}\n")
