"""Each process knows every kind that some feature registers by being imported."""

import json
import subprocess
import sys

import pytest

from settings import ROOT

TABLES = """
import importlib, json, pkgutil
import {entry}
if {everything}:
    import handlers
    for each in pkgutil.walk_packages(handlers.__path__, "handlers."):
        importlib.import_module(each.name)
from handlers import application_kinds, approvals, content_checks
tables = (approvals.DECIDERS, approvals.DETAILS, approvals.SUBJECTS, application_kinds.KINDS, content_checks.SUBJECTS)
print(json.dumps([sorted(map(str, table)) for table in tables]))
"""


def tables(entry: str, *, everything: bool) -> list[list[str]]:
    """What a process of its own knows after these imports; this one has imported everything long ago."""
    code = TABLES.format(entry=entry, everything=everything)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    found: list[list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("entry", ["jobs.schedule", "miniapp_api.apis"])
def test_a_process_knows_what_all_modules_together_register(entry: str) -> None:
    known = tables(entry, everything=False)
    assert known == tables(entry, everything=True)
    assert all(known)
