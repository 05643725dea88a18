"""`make journey`: the walks through the manuals over HTTP, against a running `make run`; `python -m demo.journey jinan` for one."""

import argparse
import asyncio
import sys

import aiohttp

import settings as configuration
from demo.jinan import JinanWalk
from demo.phones import Town, WalkFailedError
from demo.suzhou import SuzhouWalk
from demo.zhengzhou import ZhengzhouWalk

WALKS = {"jinan": ("济南手册", JinanWalk), "zhengzhou": ("郑州手册", ZhengzhouWalk), "suzhou": ("苏州手册", SuzhouWalk)}


async def main(names: list[str]) -> int:
    settings = configuration.load()
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        town = Town(http, settings.public_url, f"http://127.0.0.1:{settings.simulator_port}")
        print(f"等待 make run 应答：{town.backend} 与 {town.simulator} ……", flush=True)
        if not await town.wakes():
            print(f"连接不上 {town.backend} 或 {town.simulator}：请先在另一个终端运行 make run；用了别的端口的，两边设置相同的 PORT。")
            return 1
        for name in names:
            title, walk = WALKS[name]
            print(f"\n════ {title} ════", flush=True)
            try:
                await walk(town).walk()
            except (WalkFailedError, aiohttp.ClientConnectionError) as error:
                print(f"\n✗ {error}")
                return 1
            print(f"\n✓ {title}全程走完。")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m demo.journey", description=__doc__)
    parser.add_argument("manual", nargs="?", choices=WALKS, help="all three without it")
    manual = parser.parse_args().manual
    sys.exit(asyncio.run(main([manual] if manual else list(WALKS))))
