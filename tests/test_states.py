"""The graphs are whole: every state is in one, can be reached, and is in the picture that people read."""

from enum import StrEnum

import pytest

from demo.states import LABELS, MACHINES, drawn, first_states, graphs, last_states, page
from models.states import Graph, IllegalMoveError
from settings import ROOT

GRAPHS = graphs()
every_graph = pytest.mark.parametrize("graph", GRAPHS, ids=[graph.word for graph in GRAPHS])

# What nothing leaves again. Whoever adds a way out of one of these, or a new dead end, changes this table on purpose.
TERMINAL = {
    "application": {"withdrawn"},  # a right appeal leads out of a rejection (F10)
    "appeal": {"upheld", "overturned"},
    "filing": {"withdrawn"},  # a right appeal leads out of a rejection and a revocation (F10)
    "draw_objection": {"upheld", "dismissed", "lapsed"},
    "filing_objection": {"dismissed", "lapsed"},  # a right appeal reopens what was upheld
    "approval": {"approved", "returned", "rejected", "withdrawn"},
    "attachment": {"deleted"},
    "consultant": set(),  # D11: who was unlinked may be invited again
    "delivery": {"no_consent", "failed", "dead", "superseded", "recalled"},  # what was delivered may be taken back
    "demand": {"closed"}, "demand_response": {"passed", "declined", "converted_to_order"},
    "invitation": {"accepted", "declined", "revoked", "expired"},
    "content_check": {"withdrawn"},  # of the others a newer text is checked anew
    "inbound_message": {"done", "failed"},
    "membership": {"ended"},
    "order": {"completed", "closed"},
    "policy": {"confirmed", "discarded"},
    "product": {"deleted"},
    "product_version": {"superseded"}, "institution": set(),
    "redemption": {"redeemed"}, "payout_batch": {"settled", "cancelled"}, "payout_line": {"paid", "bounced", "cancelled"},
    "programme": {"ended"},
    "reservation": {"declined", "given_back"},  # a right appeal leads out of a disqualification (F10)
    "round": {"final", "voided"},
}
FIRST = {
    "application": {"draft"}, "appeal": {"in_review"}, "redemption": {"in_review"}, "payout_batch": {"draft"},
    "payout_line": {"pending"}, "approval": {"open"}, "attachment": {"uploading"}, "delivery": {"planned"},
    "membership": {"active"}, "order": {"awaiting_price", "unpaid"}, "policy": {"draft"}, "product": {"draft"},
    "product_version": {"draft", "approved"}, "institution": {"applying"}, "programme": {"draft"}, "reservation": {"submitted"},
    "round": {"draft"}, "consultant": {"added"}, "demand": {"held"}, "demand_response": {"notified"}, "filing": {"draft"},
    "filing_objection": {"open"}, "draw_objection": {"open"},
    "invitation": {"live"},
    "content_check": {"pending"},
    "inbound_message": {"received"},
}


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    BROKEN = "broken"


TRAFFIC = Graph("light", "lights", Light, {(Light.RED, Light.GREEN): "light.freed", (Light.GREEN, Light.RED): "light.stopped"})


def reached(graph: Graph) -> set[str]:
    found, todo = set(), {str(state) for state in first_states(graph)}
    while todo:
        found |= todo
        todo = {str(to) for state in todo for to in graph.next_states(state)} - found
    return found


def test_there_is_one_graph_for_each_word_and_each_table():
    assert len({graph.word for graph in GRAPHS}) == len({graph.table for graph in GRAPHS}) == len(GRAPHS) == len(FIRST) == len(TERMINAL)


@every_graph
def test_every_state_is_in_the_graph_and_can_be_reached(graph):
    assert {state for edge in graph.edges for state in edge} == set(graph.states)
    assert reached(graph) == {str(state) for state in graph.states}


@every_graph
def test_rows_begin_and_end_where_the_tables_above_say(graph):
    assert {str(state) for state in first_states(graph)} == FIRST[graph.word]
    assert {str(state) for state in last_states(graph)} == TERMINAL[graph.word]


@every_graph
def test_every_edge_tells_an_event_of_its_own_word(graph):
    assert all(event.startswith(f"{graph.word}.") and event.islower() for event in graph.edges.values())


@every_graph
def test_a_move_that_is_no_edge_is_our_bug(graph):
    for start in graph.states:
        for to in set(graph.states) - graph.next_states(start):
            with pytest.raises(IllegalMoveError):
                graph.event(start, to)


@every_graph
def test_every_machine_and_state_has_a_chinese_name_and_no_name_stands_twice(graph):
    names = LABELS[graph.word]
    assert list(names) == [str(state) for state in graph.states]
    assert len(set(names.values())) == len(names)
    assert all("\u4e00" <= letter <= "\u9fff" for name in (MACHINES[graph.word], *names.values()) for letter in name)


def test_the_drawn_page_is_current():
    assert (ROOT / "docs" / "states.md").read_text(encoding="utf-8") == page(), "run `make states`"


def test_a_state_that_nothing_leads_to_is_found():
    assert {str(state) for state in TRAFFIC.states} - reached(TRAFFIC) == {"broken"}


def test_the_picture_shows_states_edges_and_ends():
    graph = next(graph for graph in GRAPHS if graph.word == "policy")
    assert drawn(graph).splitlines() == [
        "## policy · 政策版本", "", "`policies.state`", "", "```mermaid", "stateDiagram-v2",
        "  draft: 草稿 (draft)", "  confirmed: 已确认 (confirmed)", "  discarded: 已作废 (discarded)",
        "  [*] --> draft",
        "  draft --> confirmed: policy.confirmed", "  draft --> discarded: policy.discarded",
        "  confirmed --> [*]", "  discarded --> [*]", "```", "", "Terminal: 已确认 `confirmed`、已作废 `discarded`.",
    ]
