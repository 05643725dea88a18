"""The law of the house, executable. Each rule is a function from a file to its offences, and is seen to find a planted one."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tortoise.models import Model

from handlers.refusals import Kind, Refusal
from miniapp_api.apis import APIS
from settings import ROOT

INSIDE = ("models", "handlers")
EDGES = ("miniapp_api", "bot", "jobs")
LAYERS = INSIDE + EDGES
PRODUCTION = (*LAYERS, "family", "embedded", "simulator", "demo")
# Beside the folders: what starts the parts and knows them all, and what serves the parts and knows none of them.
STARTING, SERVING = ("app", "settings"), ("storage", "clock", "logs", "verify_draw")
FUNCTION_LINES, MODULE_LINES = 50, 400

# `state` written by statements over sets of rows, where one move at a time would be a thousand round trips. Each names
# its states in the statement's own WHERE, and its module writes the audit rows that move() would have written.
STATE_IN_SETS = {
    "handlers/draws.py:DRAW": "the draw marks all winners and alternates of a round at once",
    "handlers/wins.py:FILL": "alternates take all places that were given up",
    "handlers/wins.py:ISSUED": "all vouchers of a round are issued in one commit",
    "handlers/round_voiding.py:VOID_RESERVATIONS": "a voided round takes back every win at once",
    "handlers/deliveries.py:CLAIM": "workers lease a batch of deliveries with SKIP LOCKED",
    "handlers/deliveries.py:SETTLE": "the outcomes of a batch are written in one statement",
    "handlers/deliveries.py:RELEASE": "leases of workers that died are given back",
    "handlers/redemptions/payouts.py:FILL": "a batch takes up to its size of redemptions, passing by those that somebody holds",
    "handlers/redemptions/payouts.py:UNDO": "a cancelled batch gives all of them back",
    "handlers/redemptions/payouts.py:ANSWER": "the bank's answers to a batch are written at once",
    "handlers/inbound.py:CLAIM": "workers lease a batch of pushes with SKIP LOCKED",
    "handlers/inbound.py:SETTLE": "the worker that holds the lease, and no other, says what became of a push",
    "handlers/inbound.py:RELEASE": "leases of workers that died are given back",
    "handlers/notices.py:SUPERSEDE": "what is waiting for a phone is dropped when the event behind it is over",
    "handlers/digests.py:RELEASE_HELD": "what waited for the morning goes out, or one digest of it",
    "handlers/recalls.py:RECALLED": "what the platforms answered to a batch of recalls",
    "handlers/closures.py:DROP": "messages that still wait for somebody whose account is closed",
    "handlers/mailboxes.py:DROP": "mails that still wait for a mailbox that was removed",
}
# Edges that speak to PostgreSQL: the leader holds a session-level lock on a connection of its own for as long as it leads.
SQL_AT_THE_EDGE = {"jobs/leader.py": "advisory lock of the one leader"}

# How long a caller has waited for a connection: no business time, and nothing that a test would want to move.
CLOCK_INSIDE = {"models/waiting.py": ["loop.time"]}

CLOCKS = {
    "datetime": {"now", "utcnow", "today"}, "date": {"today"}, "timezone": {"now"}, "loop": {"time"},
    "time": {"time", "time_ns", "monotonic", "perf_counter", "localtime", "gmtime"},
}
CLOCK_IN_SQL = re.compile(
    r"(?<!AS )\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\("
    r"|\b(CURRENT_(TIMESTAMP|DATE|TIME)|LOCALTIME(STAMP)?)\b", re.IGNORECASE,
)
SQL = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+.*\bSET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s*\(|TRUNCATE\s|LOCK\s+TABLE)", re.DOTALL
)
SET_STATE = re.compile(r"(\bSET\s+|,\s*)(\w+\.)?state\s*=[^=]", re.DOTALL)
UPDATE = re.compile(r"\bUPDATE\b", re.DOTALL)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


# --- reading ------------------------------------------------------------------------------------------------------------


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found if "migrations" not in path.parts]


def strings(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(name of the top-level thing it stands in, text) of each string that is no docstring; f-strings with {} for their values."""
    for top in getattr(tree, "body", ()):
        documentation = {
            id(node.body[0].value) for node in ast.walk(top)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and isinstance(node.body[0], ast.Expr)
        }
        if isinstance(top, ast.Expr):
            continue
        target = next(iter(getattr(top, "targets", ())), None) or getattr(top, "target", None)
        name = str(getattr(top, "name", "") or getattr(target, "id", ""))
        inside_f = {id(part) for node in ast.walk(top) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node}
        for node in ast.walk(top):
            if id(node) in documentation or id(node) in inside_f:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield name, node.value
            elif isinstance(node, ast.JoinedStr):
                yield name, "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name) of every import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def chain(node: ast.AST) -> list[str]:
    """The names of `a.b().c()`, last first."""
    names = []
    while True:
        if isinstance(node, ast.Await | ast.Call):
            node = node.value if isinstance(node, ast.Await) else node.func
        elif isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        else:
            return [*names, getattr(node, "id", "")]


# --- rules --------------------------------------------------------------------------------------------------------------


def clock_reads(path: Path, source: str) -> list[str]:
    tree = ast.parse(source)
    found = [f"{module}.{name}" for module, name in imported(tree) if module == "time"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in CLOCKS.get(owner, ()):
                found.append(f"{owner}.{node.attr}")
    found += [match.group(0) for _, text in strings(tree) if (match := CLOCK_IN_SQL.search(text))]
    return [read for read in found if read not in CLOCK_INSIDE.get(str(path), ())]


def environment_reads(path: Path, source: str) -> list[str]:
    tree = ast.parse(source)
    names = [f"{module}.{name}" for module, name in imported(tree)]
    names += [".".join(reversed(chain(node))) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return [name for name in names if name in ("os.environ", "os.getenv", "settings.load")]


def states_written(path: Path, source: str) -> list[str]:
    """Writers of `state` beside handlers.moves.move: SQL, attributes, and Tortoise's update()."""
    tree = ast.parse(source)
    found = [f"{path}:{name}" for name, text in strings(tree) if UPDATE.search(text) and SET_STATE.search(text)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("update", "bulk_update"):
            found += [f"{path}:update(state=...)" for keyword in node.keywords if keyword.arg == "state"]
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        found += [f"{path}:.state =" for target in targets if isinstance(target, ast.Attribute) and target.attr == "state"]
    return [name for name in found if name not in STATE_IN_SETS]


def queries_at_the_edge(path: Path, source: str) -> list[str]:
    """SQL, drivers, transactions and tables: an edge asks a use-case."""
    if str(path) in SQL_AT_THE_EDGE:
        return []
    tree = ast.parse(source)
    found = [text.strip()[:40] for _, text in strings(tree) if SQL.match(text)]
    for module, name in imported(tree):
        if module.split(".")[0] in ("tortoise", "asyncpg") or module in ("models.engine", "models.database"):
            found.append(module)
        if module == "handlers.transactions" and not name.endswith("Error"):
            found.append(f"{module}.{name}")
        if module.startswith("models.") and is_table(module, name):
            found.append(f"{module}.{name}")
    return found


def is_table(module: str, name: str) -> bool:
    value = getattr(import_module(module), name, None)
    return isinstance(value, type) and issubclass(value, Model)


def lossy_queries(path: Path, source: str) -> list[str]:
    """Tortoise drops the limit of an update or delete, and values() drops the lock: both without a word."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            last, *before = chain(node)
            if last in ("update", "delete") and "limit" in before:
                found.append(f"limit().{last}()")
            if last in ("values", "values_list") and "select_for_update" in before:
                found.append(f"select_for_update().{last}()")
    return found


def floats_of_money(path: Path, source: str) -> list[str]:
    """Money is an integer of fen: no float() and no true division on a name that ends in _fen."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found += [name for side in (node.left, node.right) if (name := chain(side)[0]).endswith("_fen")]
        if isinstance(node, ast.AnnAssign) and (name := chain(node.target)[0]).endswith("_fen"):
            kinds = {part.id for part in ast.walk(node.annotation) if isinstance(part, ast.Name)}
            found += [name] if kinds & {"float", "Decimal"} else []
    return found


def too_long(path: Path, source: str) -> list[str]:
    found = [f"{path}: {lines} lines"] if (lines := len(source.splitlines())) > MODULE_LINES else []
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions]
    return found + [f"{path}: {name} has {lines} lines" for name, lines in sizes if lines > FUNCTION_LINES]


def not_for_production(path: Path, source: str) -> list[str]:
    forbidden = {"simulator", "demo", "bench", "embedded", "tests"}
    return [module for module, _ in imported(ast.parse(source)) if module.split(".")[0] in forbidden]


def left_undone(path: Path, source: str) -> list[str]:
    return re.findall(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b", source)


RULES: list[tuple[Callable[[Path, str], list[str]], tuple[str, ...]]] = [
    (clock_reads, INSIDE), (environment_reads, INSIDE), (states_written, LAYERS), (queries_at_the_edge, EDGES),
    (lossy_queries, LAYERS), (floats_of_money, LAYERS), (not_for_production, LAYERS), (too_long, PRODUCTION), (left_undone, PRODUCTION),
]


@pytest.mark.parametrize(("rule", "folders"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_the_rule_holds(rule, folders):
    beside = {LAYERS: SERVING, PRODUCTION: STARTING + SERVING}.get(folders, ())
    files = modules(*folders) + [Path(f"{name}.py") for name in beside]
    assert len(files) > 10
    offences = {str(path): rule(path, (ROOT / path).read_text(encoding="utf-8")) for path in files}
    assert {path: found for path, found in offences.items() if found} == {}


@pytest.mark.parametrize(("rule", "planted", "found"), [
    (clock_reads, "from datetime import UTC, datetime\nx = datetime.now(UTC)\n", ["datetime.now"]),
    (clock_reads, "import datetime\nx = datetime.date.today()\n", ["date.today"]),
    (clock_reads, "import time\nx = time.time()\n", ["time.", "time.time"]),
    (clock_reads, "from time import monotonic\n", ["time.monotonic"]),
    (clock_reads, "Q = 'SELECT 1 WHERE due_at < now()'\n", ["now("]),
    (clock_reads, "def f():\n    '''now() is not.'''\n    return f'UPDATE t SET a = CURRENT_DATE WHERE {1}'\n", ["CURRENT_DATE"]),
    (clock_reads, "Q = 'SELECT * FROM unnest($1) AS now(id)'\n", []),
    (clock_reads, "x = ctx.now\n", []),
    (environment_reads, "import os\nfrom os import getenv\nx = os.environ['A']\n", ["os.environ", "os.getenv"]),
    (environment_reads, "from settings import Settings, load\n", ["settings.load"]),
    (states_written, "PAY = \"UPDATE orders SET paid_at = $1, state = 'paid' WHERE id = $2\"\n", ["x.py:PAY"]),
    (states_written, "def pay():\n    return f\"UPDATE {1} o SET o.state = 'paid'\"\n", ["x.py:pay"]),
    (states_written, "Q = \"UPDATE orders SET paid_at = $1 WHERE state = 'unpaid'\"\n", []),
    (states_written, "order.state = 'paid'\n", ["x.py:.state ="]),
    (states_written, "Order.filter(id=1).update(state='paid')\n", ["x.py:update(state=...)"]),
    (queries_at_the_edge, "Q = 'SELECT 1'\nfrom tortoise import Tortoise\nimport asyncpg\n", ["SELECT 1", "tortoise", "asyncpg"]),
    (queries_at_the_edge, "from handlers.transactions import rows, AnsweredMeanwhileError\n", ["handlers.transactions.rows"]),
    (queries_at_the_edge, "from models.orders import Order, OrderState\n", ["models.orders.Order"]),
    (lossy_queries, "await Order.filter(a=1).limit(5).order_by('id').update(b=2)\n", ["limit().update()"]),
    (lossy_queries, "x = Order.filter().select_for_update().values('id')\n", ["select_for_update().values()"]),
    (lossy_queries, "x = Order.filter().limit(1)\ny = Order.filter().update(b=1)\n", []),
    (floats_of_money, "yuan = order.price_fen / 100\nhalf = order.price_fen // 2\n", ["price_fen"]),
    (floats_of_money, "price_fen: float = 1\n", ["price_fen"]),
    (not_for_production, "def f():\n    from demo.seed import seed\nimport simulator\n", ["simulator", "demo.seed"]),
    (too_long, "def f():\n" + "    x = 1\n" * 50, ["x.py: f has 51 lines"]),
    (too_long, "class A:\n  def f():\n" + "    x = 1\n" * 50 + "class B:\n  def f():\n    x = 1\n", ["x.py: f has 51 lines"]),
    (too_long, "x = 1\n" * 401, ["x.py: 401 lines"]),
    (left_undone, "# TODO: later\n", ["TODO"]),
])
def test_the_rule_finds_a_planted_offence(rule, planted, found):
    assert sorted(rule(Path("x.py"), planted)) == sorted(found)


def test_every_exception_of_the_rules_is_still_needed():
    """An entry whose statement has been renamed or has gone would hide the next one of that name."""
    written = {
        f"{path}:{name}" for path in modules(*LAYERS) for name, text in strings(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if UPDATE.search(text) and SET_STATE.search(text)
    }
    assert set(STATE_IN_SETS) - written == set()
    assert [path for path in (*SQL_AT_THE_EDGE, *CLOCK_INSIDE) if not (ROOT / path).exists()] == []


# --- one word per feature -----------------------------------------------------------------------------------------------


def without_a_home(word: str, root: Path = ROOT) -> list[str]:
    homes = {
        f"handlers/{word}": (root / "handlers" / f"{word}.py").exists() or (root / "handlers" / word / "__init__.py").exists(),
        f"tests/test_{word}.py": (root / "tests" / f"test_{word}.py").exists(),
    }
    return [home for home, there in homes.items() if not there]


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_a_feature_is_one_word_in_every_layer(api):
    assert without_a_home(api.name) == []
    assert {operation.function.__module__ for operation in api.operations} == {f"miniapp_api.{api.name}"}


def test_a_word_without_rules_or_tests_is_found():
    assert without_a_home("unicorns") == ["handlers/unicorns", "tests/test_unicorns.py"]


# --- refusals -----------------------------------------------------------------------------------------------------------


def refusals(base: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for each in base.__subclasses__():
        yield from refusals(each)
        if "code" in each.__dict__ and not each.__module__.startswith("tests."):
            yield each


def badly_made(refusal: type[Refusal]) -> list[str]:
    wrong = []
    if not CHINESE.search(refusal.title) or re.search(r"[A-Za-z]{4,}", refusal.title.replace("Idempotency-Key", "")):
        wrong.append(f"{refusal.code}: title {refusal.title}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", refusal.code):
        wrong.append(f"{refusal.code}: code")
    return wrong if isinstance(refusal.kind, Kind) else [*wrong, f"{refusal.code}: kind"]


def test_every_refusal_has_a_chinese_title_a_kind_and_a_code_of_its_own():
    found = [each for each in refusals() if not each.code.startswith("test_")]
    assert len(found) > 80
    assert [wrong for each in found for wrong in badly_made(each)] == []
    codes = [each.code for each in found]
    assert sorted(code for code in set(codes) if codes.count(code) > 1) == []


def test_a_badly_made_refusal_and_a_second_one_of_the_same_code_are_found():
    planted = type("Planted", (), {"code": "Bad-Code", "title": "Not allowed", "kind": "conflict"})
    assert badly_made(planted) == ["Bad-Code: title Not allowed", "Bad-Code: code", "Bad-Code: kind"]
    first = type("TestFirst", (Refusal,), {"code": "test_same", "title": "一", "kind": Kind.CONFLICT})
    with pytest.raises(AssertionError, match="share the code test_same"):
        type("TestSecond", (Refusal,), {"code": "test_same", "title": "二", "kind": Kind.CONFLICT})
    del first, Refusal.known["test_same"]


# --- import law ---------------------------------------------------------------------------------------------------------


def lint_imports(folder: Path, *arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", *arguments], cwd=folder, capture_output=True, text=True,
        timeout=120, check=False, env={"PYTHONPATH": str(folder), "PATH": "", "PYTHONUTF8": "1"},
    )
    return ended.returncode, ended.stdout


def test_the_import_contracts_are_kept():
    code, said = lint_imports(ROOT)
    assert (code, "Contracts: 2 kept, 0 broken." in said) == (0, True), said


@pytest.mark.parametrize(("module", "line", "contract"), [
    ("models", "import handlers", "models <- handlers <- edges"), ("handlers", "import miniapp_api", "models <- handlers <- edges"),
    ("jobs", "import bot", "models <- handlers <- edges"), ("handlers", "import aiohttp", "rules know no framework"),
])
def test_an_import_against_the_law_is_found(tmp_path, module, line, contract):
    """The same contracts over five empty packages, one of which offends."""
    for name in LAYERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / module / "planted.py").write_text(line + "\n")
    written = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(written[written.index("[tool.importlinter]"):], encoding="utf-8")
    assert set(tomllib.loads(written)["tool"]["importlinter"]["root_packages"]) == set(LAYERS)
    code, said = lint_imports(tmp_path)
    assert code == 1
    assert [line for line in said.splitlines() if line.startswith(contract) and line.endswith("BROKEN")] != []
