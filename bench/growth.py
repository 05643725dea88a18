"""`python -m bench.growth`: what a request costs over ten times the rows, full against small.

Both databases are on one server and their web processes are asked in turn, in one run: two runs on a shared machine differ by more than
what is looked for. Here the "floor" is ours over the small size. W4 finds five times as much in the full size and shows it, so pages of
equal length are measured too.
"""

import asyncio
import sys
import time
from contextlib import ExitStack

import logs
from bench import processes, report
from bench.__main__ import HTTP, POSTGRES, VAR, Bench, make_database, our_web, say, settings_of
from bench.report import GROWTH, PAGES_OF_TWO, Side, compare, middle
from bench.sizes import SIZES
from embedded.lease import EmbeddedServers
from settings import Mode

SECONDS = 4.0
TURNS = 5


def main() -> int:
    VAR.mkdir(parents=True, exist_ok=True)
    logs.configure(Mode.PRODUCTION, "bench")
    began = time.monotonic()
    with EmbeddedServers(VAR, POSTGRES) as servers, ExitStack() as stack:
        for name in ("small", "full"):
            asyncio.run(make_database(servers, SIZES[name], f"growth_{name}"))
            print(f"data of size {name} after {time.monotonic() - began:.0f} s", flush=True)
        _, endpoint = stack.enter_context(processes.server("bench.endpoint", VAR / "endpoint.log", {}))
        benches = {
            name: Bench(SIZES[name], servers.postgres.pid, {
                "ours": stack.enter_context(our_web(settings_of(servers, f"growth_{name}", endpoint), f"growth_{name}.log")),
            })
            for name in ("small", "full")
        }
        found = []
        for work in (*HTTP, PAGES_OF_TWO):
            turns: dict[str, list[Side]] = {"small": [], "full": []}
            for turn in range(TURNS):
                for name in sorted(turns, reverse=bool(turn % 2)):
                    turns[name].append(benches[name].measure(work, "ours", SECONDS))
            found.append(compare(work, middle(turns["full"]), middle(turns["small"]), GROWTH))
            say(found[-1])
    report.show(found)
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if any(each["missed"] for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
