"""What was measured against what must be reached: a table for people, bench/results.json for machines."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Must:
    """Ratios of ours to the floor; None: the work has no such bound."""

    rps_min: float | None = None
    cpu_max: float | None = None
    p99_max: float | None = None
    seconds_max: float | None = None
    p99_ms_max: float | None = None  # of ours alone: what somebody waits for
    rps_least: float | None = None   # of ours alone


CROWD = "W2c, a crowd"
CALLBACKS, SLOW = "callbacks", "callbacks, database slow"
PAGES_OF_TWO = "W4, pages of two"  # of growth: with as many cards from few products as from many
UNDERSTANDING = "understanding"
MUSTS = {
    "W1": Must(0.5, 2.0, 2.0), "W2": Must(0.4, 2.5, 2.0), "W3": Must(0.3, 3.3, 2.0), "W4": Must(0.8),
    "W2c": Must(0.7), CROWD: Must(1.0),
    "W5": Must(seconds_max=1.5), "W6": Must(seconds_max=1.5), "W7": Must(seconds_max=1.5), "W8": Must(0.7), "W9": Must(seconds_max=2.0),
    "W10": Must(0.2),
    "W11": Must(seconds_max=5.0), "W12": Must(seconds_max=5.0), "W13": Must(seconds_max=2.0), "W14": Must(seconds_max=2.0),
    "W3 beside W6, W7": Must(p99_max=2.0),
    CALLBACKS: Must(), SLOW: Must(p99_ms_max=1_000), UNDERSTANDING: Must(rps_least=5_000),
}
GROWTH = Must(cpu_max=1.3)  # with ten times the rows
TITLES = {
    "W1": "wallet of 20 vouchers", "W2": "reserve", "W3": "pay, without the password's hash", "W4": "search with exact total",
    PAGES_OF_TWO: "search with exact total",
    "W2c": "first come from one quota", CROWD: "32 connections; floor: ours alone, with one",
    "W5": "draw and vouchers", "W6": "expire", "W7": "system reviews", "W8": "deliver notices", "W9": "scores of everybody anew",
    "W10": "demands to 1,000 institutions",
    "W11": "park decides on payments", "W12": "claims approved", "W13": "statement as a workbook", "W14": "payout batch",
    "W3 beside W6, W7": "pay while batches run; floor: pay alone",
    CALLBACKS: "pushes kept; floor: verify and decrypt", SLOW: "the same, the table held for 3 s at a time",
    UNDERSTANDING: "the slowest kind of sentence; floor: a dictionary",
}
Side = dict[str, float]


def middle(turns: list[Side]) -> Side:
    """The median of each figure over the turns."""
    return {name: round(median(turn[name] for turn in turns), 4) for name in turns[0]}


def compare(work: str, ours: Side, floor: Side, must: Must | None = None) -> dict[str, Any]:
    """One entry of `works`: figures of both sides, ratios, and which musts are missed; the work's own unless told."""
    found: dict[str, Any] = {"id": work, "title": TITLES[work], "ours": ours, "floor": floor}
    for name, ratio in (("rps", "ratio_rps"), ("cpu_ms", "ratio_cpu"), ("p99_ms", "ratio_p99"), ("seconds", "ratio_seconds")):
        if name in ours and name in floor:
            found[ratio] = round(ours[name] / floor[name], 3)
    must = must or MUSTS[work]
    missed = [f"rps {found['ratio_rps']} < {must.rps_min}"] if must.rps_min and found["ratio_rps"] < must.rps_min else []
    for ratio, most in (("ratio_cpu", must.cpu_max), ("ratio_p99", must.p99_max), ("ratio_seconds", must.seconds_max)):
        if most and found[ratio] > most:
            missed.append(f"{ratio.removeprefix('ratio_')} {found[ratio]} > {most}")
    if must.p99_ms_max and ours["p99_ms"] > must.p99_ms_max:
        missed.append(f"p99 {ours['p99_ms']:.0f} ms > {must.p99_ms_max:.0f}")
    if must.rps_least and ours["rps"] < must.rps_least:
        missed.append(f"{ours['rps']:,.0f}/s < {must.rps_least:,.0f}/s")
    return {**found, "missed": missed}


def write(size: str, works: list[dict[str, Any]]) -> None:
    machine = {"cores": os.cpu_count(), "cpu": _cpu(), "system": platform.platform(), "python": platform.python_version(), "size": size}
    RESULTS.write_bytes(orjson.dumps({"machine": machine, "works": works}, option=orjson.OPT_INDENT_2) + b"\n")


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(works: list[dict[str, Any]]) -> None:
    print(f"\n{'work':42} {'floor':>28} {'ours':>28}   ratios")
    for each in works:
        ratios = "  ".join(f"{name.removeprefix('ratio_')} {each[name]:.2f}" for name in each if name.startswith("ratio_"))
        verdict = "MISSED " + ", ".join(each["missed"]) if each["missed"] else "ok"
        print(f"{each['id'] + ' ' + each['title']:42.42} {_figures(each['floor']):>28} {_figures(each['ours']):>28}   {ratios}   {verdict}")


def _figures(side: Side) -> str:
    if "seconds" in side:
        return f"{side['seconds']:.2f} s"
    parts = [f"{side['rps']:,.0f}/s"] if "rps" in side else []
    parts += [f"{side['tps']:,.0f} tx/s"] if "tps" in side else []
    parts += [f"p99 {side['p99_ms']:.0f}"] if "p99_ms" in side else []
    parts += [f"{side['app_ms']:.2f}+{side['db_ms']:.2f} ms"] if "app_ms" in side else []
    return " ".join(parts)
