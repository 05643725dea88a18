"""What the models declare is what the database enforces; migrations run once, together, under a lock, and back again."""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

import asyncpg
import pytest
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint
from tortoise.migrations.operations import RunPython, RunSQL

import models
from models.database import APPEND_ONLY, MIGRATION_LOCK
from models.fields import Table
from settings import ROOT
from tests.conftest import database_named
from tests.shapes import shape

TABLES = sorted(
    {value for module in models.ALL for value in vars(import_module(module)).values()
     if isinstance(value, type) and issubclass(value, Table) and value is not Table},
    key=lambda model: str(model._meta.db_table),
)
MIGRATIONS = sorted(path.stem for path in (ROOT / "models" / "migrations").glob("0*.py"))
CONSTRAINTS = """
SELECT c.conname AS name, c.contype::text AS kind, array(
  SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (number, place)
  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place
) AS columns FROM pg_constraint c WHERE c.conrelid = $1::regclass AND c.convalidated
"""
INDEXES = """
SELECT i.relname AS name, x.indisunique AS is_unique, pg_get_expr(x.indpred, x.indrelid) AS predicate, array(
  SELECT pg_get_indexdef(x.indexrelid, place, true) FROM generate_series(1, x.indnkeyatts) place ORDER BY place
) AS columns FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = $1::regclass AND x.indisvalid
"""
FOREIGN_KEYS_WITHOUT_INDEX = """
SELECT c.conrelid::regclass::text || '.' || a.attname AS name
FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND NOT EXISTS (
  SELECT FROM pg_index x WHERE x.indrelid = c.conrelid AND x.indkey[0] = c.conkey[1] AND x.indisvalid
    AND (x.indpred IS NULL OR pg_get_expr(x.indpred, x.indrelid) = '(' || a.attname || ' IS NOT NULL)')
) ORDER BY 1
"""
WAIT_FOR_LOCK = """
SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.objid = $1 AND NOT l.granted AND d.datname = current_database()
"""


# --- what the models declare --------------------------------------------------------------------------------------------


async def missing(connection: asyncpg.Connection, model: type[Table]) -> list[str]:
    """What the model declares and the table does not have."""
    meta, table = model._meta, str(model._meta.db_table)
    found = await connection.fetch(CONSTRAINTS, table)
    indexes = await connection.fetch(INDEXES, table)
    named = {row["name"]: row for row in found} | {row["name"]: row for row in indexes}
    unique = {tuple(row["columns"]) for row in indexes if row["is_unique"] and row["predicate"] is None}
    lost = []
    for constraint in meta.constraints:
        there = named.get(constraint.name)
        right = there is not None and (
            there.get("kind") == "c" if isinstance(constraint, CheckConstraint)
            else isinstance(constraint, UniqueConstraint) and tuple(there["columns"]) == constraint.fields
        )
        if not right:
            lost.append(f"{table}: {constraint.name}")
    lost += [f"{table}: unique {columns}" for columns in meta.unique_together if tuple(columns) not in unique]
    wanted = [index if isinstance(index, tuple) else tuple(index.fields) for index in meta.indexes]
    prefixes = [tuple(row["columns"]) for row in indexes if row["predicate"] is None]
    lost += [f"{table}: index {columns}" for columns in wanted if not any(there[:len(columns)] == columns for there in prefixes)]
    keys = {row["columns"][0] for row in found if row["kind"] == "f"}
    lost += [f"{table}: foreign key {name}" for name in meta.fk_fields if f"{name}_id" not in keys]
    lost += [f"{table}: unique {name}" for name, field in meta.fields_map.items() if field.unique and (name,) not in unique]
    return lost


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.db_table)
async def test_every_constraint_unique_index_and_foreign_key_is_really_there(owner, model):
    assert await missing(owner, model) == []


async def test_a_constraint_an_index_and_a_foreign_key_that_are_gone_are_found(owner):
    from models.orders import Order

    async with rolled_back(owner):
        await owner.execute(
            "ALTER TABLE orders DROP CONSTRAINT orders_price_chain; DROP INDEX orders_yearly_uses_counted;"
            "ALTER TABLE orders DROP CONSTRAINT orders_number_once"
        )
        await owner.execute("ALTER TABLE orders RENAME COLUMN product_id TO renamed_id")
        assert await missing(owner, Order) == [
            "orders: orders_number_once", "orders: orders_yearly_uses_counted", "orders: orders_price_chain",
            "orders: index ('product_id',)", "orders: foreign key product",
        ]


async def test_every_foreign_key_has_an_index_of_its_own_or_leads_one(owner):
    assert [row["name"] for row in await owner.fetch(FOREIGN_KEYS_WITHOUT_INDEX)] == []


async def test_a_foreign_key_without_an_index_is_found(owner):
    async with rolled_back(owner):
        await owner.execute("CREATE TABLE planted (id bigint PRIMARY KEY, order_id bigint REFERENCES orders)")
        assert "planted.order_id" in [row["name"] for row in await owner.fetch(FOREIGN_KEYS_WITHOUT_INDEX)]


async def test_no_reference_deletes_rows_of_another_table(owner):
    assert await owner.fetchval(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
        " AND (confdeltype NOT IN ('a', 'r') OR confupdtype NOT IN ('a', 'r'))"
    ) == 0


async def test_money_is_bigint_and_every_instant_has_a_zone(owner):
    assert await owner.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND ("
        " column_name LIKE '%fen' AND data_type <> 'bigint' OR column_name LIKE '%\\_at' AND data_type <> 'timestamp with time zone'"
        " OR data_type IN ('money', 'real', 'timestamp without time zone'))"
    ) == []


async def test_models_and_migrations_agree():
    said = await python(
        "import asyncio\n"
        "from tortoise import Tortoise\n"
        "from tortoise.migrations.autodetector import MigrationAutodetector\n"
        "from models.database import configuration\n"
        "async def main():\n"
        "    config = configuration('postgresql://nobody@127.0.0.1:1/none')\n"
        "    await Tortoise.init(config=config, init_connections=False, _enable_global_fallback=True)\n"
        "    changes = await MigrationAutodetector(Tortoise.apps, config['apps']).changes()\n"
        "    print([operation for writer in changes for operation in writer.operations])\n"
        "asyncio.run(main())\n"
    )
    assert said == (0, "[]"), "run `make migration NAME=...`"


# --- what the application may -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_the_application_cannot_change_what_is_append_only(database_urls, table, change):
    connection = await asyncpg.connect(database_urls[1])
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change.format(table))
    finally:
        await connection.close()


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_the_owner_meets_a_trigger(owner, table, change):
    async with rolled_back(owner):
        with pytest.raises(asyncpg.RestrictViolationError, match="is append-only"):
            await owner.execute(change.format(table))


async def test_the_application_creates_no_table_owns_none_and_turns_no_trigger_off(database_urls):
    connection = await asyncpg.connect(database_urls[1])
    try:
        for statement in (
            "CREATE TABLE planted (id int)", "ALTER TABLE ledger_entries DISABLE TRIGGER ALL", "DROP TABLE orders",
            "SET session_replication_role = replica", "CREATE TRIGGER planted BEFORE UPDATE ON orders EXECUTE FUNCTION refuse_change()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE tableowner = current_user") == 0
    finally:
        await connection.close()


# --- migrations ---------------------------------------------------------------------------------------------------------


@dataclass
class Scratch:
    """A database of its own, looked at by its owner."""

    url: str
    application: str
    connection: asyncpg.Connection

    async def migrate(self) -> tuple[int, str]:
        """`models.database.migrate` in a process of its own, as the owner, granting to the application."""
        return await python(
            f"import asyncio; from models.database import migrate; asyncio.run(migrate({self.url!r}, {self.application!r}))"
        )

    async def applied(self) -> list[str]:
        return [row["name"] for row in await self.connection.fetch("SELECT name FROM tortoise_migrations ORDER BY id")]


@pytest.fixture(scope="module")
async def scratch(servers) -> AsyncIterator[Scratch]:
    """An empty database, with a note taker: a trigger writes down the lock_timeout of whoever records a migration."""
    name = f"scratch_{os.getpid()}"
    admin = await asyncpg.connect(servers.owner_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    url = database_named(servers.owner_url, name)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("""
            CREATE TABLE tortoise_migrations (
              id bigserial PRIMARY KEY, app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied_at timestamptz NOT NULL);
            CREATE SCHEMA seen; CREATE TABLE seen.timeouts (lock_timeout text);
            CREATE FUNCTION seen.note() RETURNS trigger LANGUAGE plpgsql AS $$
              BEGIN INSERT INTO seen.timeouts VALUES (current_setting('lock_timeout')); RETURN NULL; END $$;
            CREATE TRIGGER note AFTER INSERT ON tortoise_migrations FOR EACH ROW EXECUTE FUNCTION seen.note();
        """)
        yield Scratch(url, str(urlsplit(servers.database_url).username), connection)
    finally:
        await connection.close()
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def python(code: str) -> tuple[int, str]:
    """Run in a fresh interpreter: (exit code, the last line it wrote)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", code, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(300):
        said, _ = await process.communicate()
    return process.returncode or 0, (said.decode().strip().splitlines() or [""])[-1]


@contextlib.asynccontextmanager
async def rolled_back(connection: asyncpg.Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def test_two_machines_wait_for_the_lock_and_make_one_schema_with_a_lock_timeout_and_a_third_changes_nothing(scratch, built):
    await scratch.connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
    machines = [asyncio.create_task(scratch.migrate()) for _ in range(2)]
    async with asyncio.timeout(120):
        while await scratch.connection.fetchval(WAIT_FOR_LOCK, MIGRATION_LOCK) < 2:
            assert not any(machine.done() for machine in machines)
    assert (await scratch.applied(), await shape(scratch.connection)) == ([], [])
    await scratch.connection.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)
    assert await asyncio.gather(*machines) == [(0, ""), (0, "")]
    noted = await scratch.connection.fetch("SELECT lock_timeout FROM seen.timeouts")
    assert [row["lock_timeout"] for row in noted] == ["5s"] * len(MIGRATIONS)
    assert (await scratch.applied(), await shape(scratch.connection)) == (MIGRATIONS, built)
    assert await scratch.migrate() == (0, "")
    assert (await scratch.applied(), await shape(scratch.connection)) == (MIGRATIONS, built)


@pytest.mark.parametrize("name", MIGRATIONS)
def test_every_migration_has_a_way_back(name):
    """The way itself is walked by the long form below."""
    operations = import_module(f"models.migrations.{name}").Migration.operations
    assert operations
    assert [each for each in operations if isinstance(each, RunSQL | RunPython) and not (
        getattr(each, "reverse_sql", None) or getattr(each, "reverse_code", None))] == []


@pytest.mark.soak
async def test_each_step_back_leaves_what_was_there_before_the_step(scratch):
    assert await python(f"import asyncio; from tests.test_schema import walk; asyncio.run(walk({scratch.url!r}))") == (0, "[]")
    assert await scratch.migrate() == (0, "")


async def walk(url: str) -> None:
    """In a process of its own: up by one migration after the other and down again; writes the steps whose way back leaves a trace."""
    connection, shapes, traces = await asyncpg.connect(url), {}, []
    steps = ["__first__", *MIGRATIONS]
    await to(url, steps[0])
    for before, name in itertools.pairwise(steps):
        shapes[before] = await shape(connection)
        await to(url, name)
    for name in reversed(steps[:-1]):
        await to(url, name)
        if await shape(connection) != shapes[name]:
            traces.append(name)
    await connection.close()
    sys.stdout.write(f"{traces}\n")


async def to(url: str, name: str) -> None:
    """Forward or back to a migration; `__first__` is before all of them."""
    from tortoise import Tortoise
    from tortoise.migrations.api import migrate

    from models.database import Limits, configuration

    # Tortoise draws the models anew inside each migration's transaction: on a busy machine that takes longer than a request may.
    limits = Limits(statement_timeout_ms=0, idle_in_transaction_timeout_ms=0)
    await migrate(config=configuration(url, limits), app_labels=["models"], target=f"models.{name}")
    await Tortoise.close_connections()
