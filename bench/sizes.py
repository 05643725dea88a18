"""How much data, and how long each work is measured."""

import itertools
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Row counts. Every enterprise has twenty lots; further organisations only hold tickets and lots that have run out."""

    name: str
    enterprises: int    # with people who are signed in
    organisations: int  # of them, or beyond them, one ticket each in the round that is drawn
    winners: int
    past_rounds: int    # in each of them every enterprise had a ticket
    open_rounds: int    # W2 takes tickets in these, one enterprise after the other
    giving_rounds: int  # W2c takes vouchers in these, first come, first served: each enterprise one in each, all of one quota
    unpaid_orders: int  # W3 pays each once
    done_orders: int
    to_review: int
    products: int
    expiring: int
    notices: int
    scored: int         # institutions whose scores are computed anew
    score_events: int
    decisions: int      # payments under review, and as many claims
    claims: int         # approved, that wait for a payout
    lines: int          # ledger entries of one programme's statement; a multiple of four
    seconds: float      # of load, for each of the three turns
    repeats: int = 3


SIZES = {
    "small": Size(
        "small", enterprises=10_000, organisations=50_000, winners=5_000, past_rounds=10, open_rounds=40, giving_rounds=20,
        unpaid_orders=100_000, done_orders=50_000, to_review=20_000, products=20_000, expiring=50_000, notices=5_000, scored=1_000,
        score_events=100_000, decisions=500, claims=1_000, lines=10_000, seconds=1.8,
    ),
    "full": Size(
        "full", enterprises=100_000, organisations=1_000_000, winners=100_000, past_rounds=10, open_rounds=10, giving_rounds=8,
        unpaid_orders=600_000, done_orders=1_300_000, to_review=100_000, products=100_000, expiring=1_000_000, notices=100_000,
        scored=10_000, score_events=1_000_000, decisions=5_000, claims=10_000, lines=100_000, seconds=10,
    ),
}
LOTS_EACH = 20
FIRST_COME_TYPE = 9  # of its own: its wins of the year do not count in the draw
INSTITUTIONS = 200
FACE_FEN = 100_000
SPEND_FEN = 1_000  # what each payment of W3 takes
# Products are called by three of these and found by two.
WORDS = (
    "财务", "年度", "专项", "管理", "体系", "质量", "环境", "安全", "信息", "数据", "知识", "产权", "商标", "专利", "法律", "合同",
    "劳动", "人力", "薪酬", "培训", "数字", "转型", "诊断", "咨询", "检测", "检验", "认证", "融资", "上市", "市场", "品牌", "出口",
)
SEARCHED = tuple("".join(pair) for pair in itertools.permutations(WORDS[:12], 2))  # four letters each, 132 of them
