"""`python -m bench.lists`: every long list at its first and its thousandth page, over the large seed, against a hand-written floor.

CPU milliseconds of a request, of the web process and of PostgreSQL together, from /proc; ratio ours / floor, median of three turns.
Then a statement of 100,000 ledger entries as xlsx and pdf, in seconds. Leaves bench/lists.json.
"""

import asyncio
import base64
import json
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import orjson
from pydantic import SecretStr

import app
import logs
from bench import processes
from bench.__main__ import VAR, named
from demo.large import Size, plant_large
from embedded.daemon import free_port
from embedded.lease import EmbeddedServers
from models.database import migrate
from settings import ROOT, Mode, Settings

DATABASE = "bench_lists"
SIZE = Size(institutions=5)  # 40,000 orders each: enough for a thousandth page of twenty
DEEP = 1_000
REQUESTS, TURNS, AT_ONCE = 600, 3, 8  # CPU time comes in hundredths of a second
YEAR = timedelta(days=365)


def lists(settled: datetime) -> dict[str, tuple[str, str]]:
    """list -> (who asks, our path)."""
    period = f"since={(settled - 2 * YEAR).date()}&before={settled.date()}"
    return {
        "orders": ("seller", "/orders?"), "completed": ("seller", "/orders?state=completed&"),
        "rejected": ("seller", "/orders?state=pay_rejected&"), "reviews": ("seller", "/institutions/4001/reviews?"),
        "approvals": ("reviewer", "/approvals?"), "statement": ("manager", f"/programmes/1/statement/lines?{period}&"),
    }


async def make_database(servers: EmbeddedServers, settings: Settings) -> float:
    """Migrated, planted, and with three people signed in; the seconds that planting took."""
    admin = await asyncpg.connect(servers.owner_url)
    await admin.execute(f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
    await admin.execute(f'CREATE DATABASE "{DATABASE}"')
    await admin.close()
    owner_url = named(servers.owner_url, DATABASE)
    await migrate(owner_url, urlsplit(servers.database_url).username)
    began = time.monotonic()
    async with app.database(settings, "seed"), app.platforms(settings) as ports:
        await plant_large(settings, app.clock_of(settings), ports, SIZE)
    seconds = time.monotonic() - began
    owner = await asyncpg.connect(owner_url)
    await _sign_in(owner)
    await owner.execute("VACUUM (FREEZE, ANALYZE)")
    await owner.close()
    return seconds


async def _sign_in(owner: asyncpg.Connection) -> None:
    shop, office = SIZE.enterprises + 1, SIZE.enterprises + SIZE.institutions + 1
    for number, (name, organisation, role) in enumerate(
        (("seller", shop, "owner"), ("reviewer", office, "reviewer"), ("manager", office, "programme_manager")), start=1
    ):
        person = await owner.fetchval("INSERT INTO persons (created_at) VALUES (now()) RETURNING id")
        identity = await owner.fetchval(
            "INSERT INTO identities (person_id, platform, app_id, open_id, created_at) VALUES ($1,'wechat','wx',$2,now()) RETURNING id",
            person, f"lists-{number}",
        )
        membership = await owner.fetchval(
            "INSERT INTO memberships (person_id, organisation_id, role, state, created_at) VALUES ($1,$2,$3,'active',now()) RETURNING id",
            person, organisation, role,
        )
        await owner.execute(
            "INSERT INTO sessions (token_hash, person_id, identity_id, membership_id, created_at, expires_at)"
            " VALUES ($1,$2,$3,$4,now(),now() + interval '30 days')", sha256(name.encode()).digest(), person, identity, membership,
        )


class Lists:
    def __init__(self, http: aiohttp.ClientSession, postgres: int, sides: dict[str, tuple[int, int]]) -> None:
        self.http, self.postgres, self.sides = http, postgres, sides

    async def get(self, side: str, path: str, who: str) -> bytes:
        url = f"http://127.0.0.1:{self.sides[side][1]}{path}"
        async with self.http.get(url, headers={"Authorization": f"Bearer {who}"}) as response:
            body = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{path}: {body[:500]!r}")
            return body

    async def deep(self, path: str, who: str) -> tuple[int, str | None]:
        """How many pages of twenty lie before the page that is measured, and its cursor: the thousandth, or the last there is."""
        rows, cursor = 0, None
        while rows < 20 * (DEEP - 1):
            after = f"&after={cursor}" if cursor else ""
            body = orjson.loads(await self.get("ours", f"/api/v1{path}limit=100{after}", who))
            if body["next"] is None:
                break
            rows, cursor = rows + 100, body["next"]
        return rows // 20, cursor

    async def cpu_ms(self, side: str, path: str, who: str) -> float:
        pid = self.sides[side][0]
        await asyncio.gather(*(self.get(side, path, who) for _ in range(AT_ONCE)))
        before = processes.cpu_seconds(pid) + processes.cpu_seconds(self.postgres)
        for _ in range(REQUESTS // AT_ONCE):
            await asyncio.gather(*(self.get(side, path, who) for _ in range(AT_ONCE)))
        return (processes.cpu_seconds(pid) + processes.cpu_seconds(self.postgres) - before) * 1000 / REQUESTS

    async def measure(self, name: str, who: str, path: str) -> list[dict[str, Any]]:
        pages, cursor = await self.deep(path, who)
        found = []
        for page, after in ((1, None), (pages + 1, cursor))[: 2 if cursor else 1]:
            key = f"?key={base64.urlsafe_b64decode(after + '==').decode().replace('+', '%2B')}" if after else ""
            paths = {"floor": f"/{name}{key}", "ours": f"/api/v1{path}limit=20{f'&after={after}' if after else ''}"}
            turns: dict[str, list[float]] = {"floor": [], "ours": []}
            for turn in range(TURNS):
                for side in sorted(turns, reverse=bool(turn % 2)):
                    turns[side].append(await self.cpu_ms(side, paths[side], who))
            ours, floor = median(turns["ours"]), median(turns["floor"])
            found.append({"list": name, "page": page, "ours_cpu_ms": round(ours, 3), "floor_cpu_ms": round(floor, 3),
                          "ratio_cpu": round(ours / floor, 2)})
            print("  ", found[-1], flush=True)
        return found

    async def files(self, settled: datetime) -> list[dict[str, Any]]:
        """A statement of nearly 100,000 entries: the period is narrowed until it fits."""
        days, lines = 400, 10**9
        while lines > 100_000:
            days -= 10
            period = f"since={(settled - timedelta(days=days)).date()}&before={settled.date()}"
            lines = orjson.loads(await self.get("ours", f"/api/v1/programmes/1/statement?{period}", "manager"))["lines"]
        found = []
        for kind in ("xlsx", "pdf"):
            began = time.monotonic()
            size = len(await self.get("ours", f"/api/v1/programmes/1/statement/file.{kind}?{period}", "manager"))
            found.append({"file": kind, "lines": lines, "seconds": round(time.monotonic() - began, 1), "bytes": size})
            print("  ", found[-1], flush=True)
        return found


async def measure(settings: Settings, servers: EmbeddedServers) -> dict[str, Any]:
    seconds = await make_database(servers, settings)
    print(f"planted {SIZE.orders} orders in {seconds:.0f} s", flush=True)
    settled = datetime.now(UTC) - timedelta(days=1)
    with ExitStack() as stack:
        env = {**app.environment(settings), "HOST": "127.0.0.1", "PORT": str(free_port())}
        sides = {
            "floor": stack.enter_context(
                processes.server("bench.lists_floor", VAR / "lists_floor.log", {}, named(servers.database_url, DATABASE))
            ),
            "ours": stack.enter_context(processes.server("bench.ours", VAR / "lists_ours.log", env)),
        }
        async with aiohttp.ClientSession() as http:
            bench = Lists(http, servers.postgres.pid, sides)
            pages = [each for name, (who, path) in lists(settled).items() for each in await bench.measure(name, who, path)]
            return {"orders": SIZE.orders, "planted_seconds": round(seconds, 1), "lists": pages, "files": await bench.files(settled)}


def main() -> None:
    VAR.mkdir(parents=True, exist_ok=True)
    logs.configure(Mode.PRODUCTION, "bench")
    with EmbeddedServers(VAR) as servers:
        settings = Settings(
            database_url=SecretStr(named(servers.database_url, DATABASE)), redis_url=SecretStr(servers.redis_url), var_dir=VAR,
        )
        found = asyncio.run(measure(settings, servers))
    (ROOT / "bench" / "lists.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
