r"""The verifiable draw as pure functions (可验证摇号: F01, F15, RFC 3797 style).

`docs/draw.md` is the contract, byte for byte; `verify_draw.py` is written from that page and shares no code with this module.
Conventions: digests are lowercase hex text of 64 characters; secrets (32), salts (16), seeds (32) and order keys (32) are raw
bytes here and lowercase hex in JSON; every hashed text is UTF-8, lines joined with "\n" and no newline at the end.
A ValueError from here is a bug of the caller: what people type is judged by `normalise_value`, which answers None.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal, NamedTuple, TypedDict

RULES_VERSION = "draw/1"
SECRET_BYTES = 32
SALT_BYTES = 16

Role = Literal["officer", "witness"]
ValueFormat = Literal["ssq", "dlt", "drand", "decimal"]

_ROUND_NO = re.compile(r"[0-9]{1,12}")
_TICKET_NO = re.compile(r"R[0-9]{1,12}-[0-9]{8}")
_TYPE_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_CREDIT_CODE = re.compile(r"[0-9A-Z]{18}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WINS_LEFT = re.compile(r"-|0|[1-9][0-9]{0,8}")
_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
# How many balls of which highest number: 双色球 6 of 33 + 1 of 16, 大乐透 5 of 35 + 2 of 12.
_BALLS: Mapping[str, tuple[tuple[int, int], ...]] = {"ssq": ((6, 33), (1, 16)), "dlt": ((5, 35), (2, 12))}
# Fixed offset: the bundle must read the same on a machine without a time zone database.
_BEIJING = timezone(timedelta(hours=8))


class Ticket(NamedTuple):
    """One line of the list; `wins_left` None means that the type has no yearly cap, 0 that it cannot win (E17)."""

    ticket_no: str
    voucher_type: str
    entry_digest: str
    wins_left: int | None


class Redraw(NamedTuple):
    """Why a round is committed again: `attempt` counts from 2, `previous_digest` is the commitment_digest it replaces."""

    attempt: int
    previous_digest: str
    reason: str


class DrawSource(TypedDict):
    """A public value that nobody knows yet: its name for people, the Beijing time it falls, the format it is typed in."""

    name: str
    at: str
    format: ValueFormat


class DrawResult(TypedDict):
    """Ticket numbers of one voucher type in drawn order; alternate rank is the place in `alternates`, from 1."""

    winners: list[str]
    alternates: list[str]


class DrawCommitment(TypedDict):
    """Part 1 of the bundle, published before any named source has a value."""

    rules_version: str
    round_no: str
    attempt: int
    previous_digest: str
    redraw_reason: str
    committed_at: str
    ticket_count: int
    tickets: list[str]
    list_digest: str
    quotas: dict[str, int]
    quotas_digest: str
    alternates: dict[str, int]
    officer_commitment: str
    witness_commitment: str
    sources: list[DrawSource]
    commitment_digest: str


class DrawReveal(TypedDict):
    """Part 2 of the bundle, published at the draw."""

    officer_secret: str
    witness_secret: str
    public_value: str
    seed: str
    results: dict[str, DrawResult]


def ticket_number(round_no: str, number: int) -> str:
    """`R<round>-<8 digits>`; `number` is 1..99999999."""
    if not 0 < number < 10**8:
        raise ValueError("a ticket number has eight digits")
    return f"R{_fitting(_ROUND_NO, round_no)}-{number:08d}"


def entry_digest(ticket_no: str, credit_code: str, salt: bytes) -> str:
    """Hides who holds a ticket from everyone without the receipt (ticket number, credit code, salt)."""
    credit = _fitting(_CREDIT_CODE, credit_code)
    return _sha256_hex(f"{_fitting(_TICKET_NO, ticket_no)}|{credit}|{_hex(salt, SALT_BYTES)}")


def ticket_line(ticket: Ticket) -> str:
    left = "-" if ticket.wins_left is None else str(ticket.wins_left)
    fields = (
        _fitting(_TICKET_NO, ticket.ticket_no),
        _fitting(_TYPE_CODE, ticket.voucher_type),
        _fitting(_DIGEST, ticket.entry_digest),
        _fitting(_WINS_LEFT, left),
    )
    return "|".join(fields)


def parse_line(line: str) -> Ticket:
    number, code, digest, left = line.split("|")
    ticket = Ticket(number, code, digest, None if left == "-" else int(left))
    if ticket_line(ticket) != line:
        raise ValueError(f"not a canonical ticket line: {line!r}")
    return ticket


def list_digest(lines: Iterable[str]) -> str:
    """Digest of the canonical list, one line in memory at a time; lines must come in strictly ascending ticket number."""
    digest, before = hashlib.sha256(), ""
    for line in lines:
        number = line.partition("|")[0]
        # A wrong collation in the database or a doubled row must stop the draw, not become part of it.
        if number <= before:
            raise ValueError(f"ticket {number} does not come after {before}")
        digest.update((f"\n{line}" if before else line).encode())
        before = number
    return digest.hexdigest()


def quotas_digest(counts: Mapping[str, int]) -> str:
    """Digest of `code=count` lines in ascending code; used for quotas and for alternates."""
    if any(not 0 <= count < 10**9 for count in counts.values()):
        raise ValueError("a count is 0 to 999999999")
    return _sha256_hex("\n".join(f"{_fitting(_TYPE_CODE, code)}={counts[code]}" for code in sorted(counts)))


def commitment(round_no: str, role: Role, secret: bytes) -> str:
    """What an officer or witness publishes instead of the secret."""
    return _sha256_hex(f"qifuquan-draw-commit/1|{_fitting(_ROUND_NO, round_no)}|{role}|{_hex(secret, SECRET_BYTES)}")


def draw_source(name: str, at: datetime, value_format: ValueFormat) -> DrawSource:
    return {"name": _fitting(_ONE_LINE, name), "at": _beijing(at), "format": value_format}


def build_commitment(
    *,
    round_no: str,
    lines: Sequence[str],
    quotas: Mapping[str, int],
    alternates: Mapping[str, int],
    officer_commitment: str,
    witness_commitment: str,
    sources: Sequence[DrawSource],
    committed_at: datetime,
    redraw: Redraw | None = None,
) -> DrawCommitment:
    """Part 1 (2.5 commit). `lines` ascend by ticket number; `quotas` and `alternates` name the same types; sources lie ahead."""
    attempt, previous, reason = redraw or Redraw(1, "", "")
    part: DrawCommitment = {
        "rules_version": RULES_VERSION,
        "round_no": _fitting(_ROUND_NO, round_no),
        "attempt": attempt,
        "previous_digest": previous,
        "redraw_reason": reason,
        "committed_at": _beijing(committed_at),
        "ticket_count": len(lines),
        "tickets": list(lines),
        "list_digest": list_digest(lines),
        "quotas": dict(sorted(quotas.items())),
        "quotas_digest": quotas_digest(quotas),
        "alternates": dict(sorted(alternates.items())),
        "officer_commitment": _fitting(_DIGEST, officer_commitment),
        "witness_commitment": _fitting(_DIGEST, witness_commitment),
        "sources": list(sources),
        "commitment_digest": "",
    }
    _require_committable(part)
    part["commitment_digest"] = commitment_digest(part)
    return part


def commitment_digest(part: DrawCommitment) -> str:
    """The one value to print on the notice board: it covers every field of part 1, the tickets through their digest."""
    lines = [
        "qifuquan-draw-announcement/1",
        f"rules={part['rules_version']}",
        f"round={part['round_no']}",
        f"attempt={part['attempt']}",
        f"previous={part['previous_digest']}",
        f"reason={part['redraw_reason']}",
        f"committed_at={part['committed_at']}",
        f"count={part['ticket_count']}",
        f"list={part['list_digest']}",
        f"quotas={part['quotas_digest']}",
        f"alternates={quotas_digest(part['alternates'])}",
        f"officer={part['officer_commitment']}",
        f"witness={part['witness_commitment']}",
    ]
    lines += [f"source={source['at']}|{source['format']}|{source['name']}" for source in part["sources"]]
    return _sha256_hex("\n".join(lines))


def normalise_value(value_format: ValueFormat, typed: str) -> str | None:
    """The one spelling of a public value, or None if `typed` is not such a value.

    Full-width characters are forgiven, between balls also commas and missing leading zeros, and balls are sorted: otherwise the
    typist would have 720 spellings of one 双色球 result to choose a seed from.
    """
    text = unicodedata.normalize("NFKC", typed).strip().lower()
    if value_format == "drand":
        return text if _DIGEST.fullmatch(text) else None
    if value_format == "decimal":
        return text if re.fullmatch(r"(0|[1-9][0-9]{0,8})\.[0-9]{2}", text) else None
    if text.count("+") != 1:
        return None
    groups = [_balls(group, *shape) for group, shape in zip(text.split("+"), _BALLS[value_format], strict=True)]
    return None if None in groups else "+".join(filter(None, groups))


def public_value(sources: Sequence[DrawSource], values: Sequence[str]) -> str:
    """The normalised values in the order of the announced sources, joined with "/"."""
    for source, value in zip(sources, values, strict=True):
        if normalise_value(source["format"], value) != value:
            raise ValueError(f"{value!r} is not a normalised {source['format']} value")
    return "/".join(values)


def seed(part: DrawCommitment, officer_secret: bytes, witness_secret: bytes, public: str) -> bytes:
    """32 raw bytes that nobody could know before the last named source had its value."""
    lines = (
        "qifuquan-draw-seed/1",
        f"rules={part['rules_version']}",
        f"round={part['round_no']}",
        f"list={part['list_digest']}",
        f"quotas={part['quotas_digest']}",
        f"officer={_hex(officer_secret, SECRET_BYTES)}",
        f"witness={_hex(witness_secret, SECRET_BYTES)}",
        f"public={public}",
    )
    return hashlib.sha256("\n".join(lines).encode()).digest()


def order_key(seed: bytes, ticket_no: str) -> bytes:
    """The same bytes as PostgreSQL's `sha256($seed || convert_to(ticket_no, 'UTF8'))`."""
    return hashlib.sha256(seed + ticket_no.encode("ascii")).digest()


def choose(
    seed: bytes, tickets: Iterable[Ticket], quotas: Mapping[str, int], alternates: Mapping[str, int]
) -> dict[str, DrawResult]:
    """Reference of the SQL in docs/draw.md: per type, by key then ticket number, `quota` winners, then alternates (F15)."""
    able: dict[str, list[tuple[bytes, str]]] = {code: [] for code in sorted(quotas)}
    for ticket in tickets:
        if ticket.wins_left != 0:
            able[ticket.voucher_type].append((order_key(seed, ticket.ticket_no), ticket.ticket_no))
    results: dict[str, DrawResult] = {}
    for code, keyed in able.items():
        order = [number for _, number in sorted(keyed)]
        last = quotas[code] + alternates[code]
        results[code] = {"winners": order[: quotas[code]], "alternates": order[quotas[code] : last]}
    return results


def build_reveal(
    part: DrawCommitment, officer_secret: bytes, witness_secret: bytes, public: str, results: Mapping[str, DrawResult]
) -> DrawReveal:
    """Part 2. A secret that is not the committed one is a ValueError: the caller asks `commitment` first and refuses."""
    promises: tuple[tuple[Role, bytes, str], ...] = (
        ("officer", officer_secret, part["officer_commitment"]),
        ("witness", witness_secret, part["witness_commitment"]),
    )
    for role, secret, promised in promises:
        if commitment(part["round_no"], role, secret) != promised:
            raise ValueError(f"the secret of the {role} is not the committed one")
    return {
        "officer_secret": officer_secret.hex(),
        "witness_secret": witness_secret.hex(),
        "public_value": public,
        "seed": seed(part, officer_secret, witness_secret, public).hex(),
        "results": dict(sorted(results.items())),
    }


def _require_committable(part: DrawCommitment) -> None:
    head = f"R{part['round_no']}-"
    for line in part["tickets"]:
        ticket = parse_line(line)
        if not line.startswith(head) or ticket.voucher_type not in part["quotas"]:
            raise ValueError(f"ticket {ticket.ticket_no} does not belong to this round")
    if part["quotas"].keys() != part["alternates"].keys():
        raise ValueError("quotas and alternates must name the same voucher types")
    if not part["sources"] or any(source["at"] <= part["committed_at"] for source in part["sources"]):
        raise ValueError("a public source must fall after the commitment")
    first = part["attempt"] == 1 and not part["previous_digest"] and not part["redraw_reason"]
    again = part["attempt"] > 1 and _DIGEST.fullmatch(part["previous_digest"]) and _ONE_LINE.fullmatch(part["redraw_reason"])
    if not (first or again):
        raise ValueError("a redraw names the commitment it replaces and the reason; a first draw has neither")


def _balls(text: str, count: int, highest: int) -> str | None:
    balls = re.split(r"[ ,]+", text.strip(" ,"))
    if not all(re.fullmatch(r"[0-9]{1,2}", ball) for ball in balls):
        return None
    numbers = sorted({int(ball) for ball in balls})
    if len(balls) != count or len(numbers) != count:
        return None
    return " ".join(f"{number:02d}" for number in numbers) if numbers[0] >= 1 and numbers[-1] <= highest else None


def _beijing(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("a time without zone")
    return at.astimezone(_BEIJING).isoformat(timespec="seconds")


def _hex(value: bytes, length: int) -> str:
    if len(value) != length:
        raise ValueError(f"expected {length} bytes")
    return value.hex()


def _fitting(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not of the form {pattern.pattern}")
    return text


def _sha256_hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
