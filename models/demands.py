"""Demands (需求) of enterprises, and what each institution that one concerns does about it (D14-D16)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Sealed, Table, chars, fen, moment, reference, state
from models.states import Graph

TAKERS_MAX = 3  # institutions that may take up an open demand; so many strangers learn the contact's phone


class DemandTarget(StrEnum):
    """Whom a demand is addressed to (D14). A product's is its institution; an open one finds its institutions by kind and place."""

    INSTITUTION = "institution"
    CONSULTANT = "consultant"
    PRODUCT = "product"
    OPEN = "open"


class DemandState(StrEnum):
    HELD = "held"      # 待审: its words have not passed (handlers/content_checks.py); no institution hears of it
    OPEN = "open"      # 待接单
    TAKEN = "taken"    # 对接中: somebody has taken it up
    CLOSED = "closed"


class CloseReason(StrEnum):
    WITHDRAWN = "withdrawn"  # by the enterprise, before anybody took it up
    SETTLED = "settled"      # it worked out, with `settled_with`
    GIVEN_UP = "given_up"    # it worked out with nobody
    EXPIRED = "expired"      # nobody took it up in thirty days


D = DemandState
DEMAND_GRAPH = Graph("demand", "demands", DemandState, {
    (D.HELD, D.OPEN): "demand.released",
    (D.OPEN, D.HELD): "demand.held",  # its words were changed
    (D.HELD, D.CLOSED): "demand.closed",
    (D.OPEN, D.TAKEN): "demand.taken",
    (D.OPEN, D.CLOSED): "demand.closed",
    (D.TAKEN, D.CLOSED): "demand.closed",
})


class ResponseState(StrEnum):
    NOTIFIED = "notified"      # 新需求
    VIEWED = "viewed"          # 已查看
    PASSED = "passed"          # 无意向
    TAKEN = "taken"            # 已接单: the contact may be seen
    CONTACTED = "contacted"    # 已联系
    SIGNED = "signed"          # the four outcomes of D16: 已签约
    DECLINED = "declined"      # 未达成合作
    NO_CONTACT = "no_contact"  # 联系不上
    CONVERTED = "converted_to_order"  # 已转订单


R = ResponseState
RESPONSE_GRAPH = Graph("demand_response", "demand_responses", ResponseState, {
    (R.NOTIFIED, R.VIEWED): "demand_response.viewed",
    (R.VIEWED, R.PASSED): "demand_response.passed",
    (R.VIEWED, R.TAKEN): "demand_response.taken",
    (R.TAKEN, R.CONTACTED): "demand_response.contacted",
    (R.TAKEN, R.SIGNED): "demand_response.signed",
    (R.TAKEN, R.DECLINED): "demand_response.declined",
    (R.TAKEN, R.NO_CONTACT): "demand_response.no_contact",
    (R.TAKEN, R.CONVERTED): "demand_response.converted",
    (R.CONTACTED, R.SIGNED): "demand_response.signed",
    (R.CONTACTED, R.DECLINED): "demand_response.declined",
    (R.CONTACTED, R.NO_CONTACT): "demand_response.no_contact",
    (R.CONTACTED, R.CONVERTED): "demand_response.converted",
    (R.NO_CONTACT, R.CONTACTED): "demand_response.contacted",  # reached after all
    (R.NO_CONTACT, R.CONVERTED): "demand_response.converted",
    (R.SIGNED, R.CONVERTED): "demand_response.converted",      # signed first, ordered on the platform afterwards
})
OUTCOMES = (R.SIGNED, R.DECLINED, R.NO_CONTACT, R.CONVERTED)


class Demand(Table):
    """`version` is that of its text. `released_at`: when its words had passed for the first time; from then its days count.

    `spread_at`: when the next institutions hear of an open one; null when all have.
    `alternatives_at`: when the enterprise is offered other institutions unless somebody has taken it up; null when that is over.
    """

    enterprise = reference("Organisation")
    target = chars(16)
    institution = reference("Organisation", null=True)
    consultant = reference("Consultant", null=True)
    product = reference("Product", null=True)
    title = chars(50)
    text = chars(2000)
    category = chars(32)
    region_code = chars(6)
    budget_fen = fen(null=True)
    wanted_by = fields.DateField(null=True)  # when the enterprise needs it done; the platform waits thirty days whatever it says
    contact_name = Sealed(null=True)  # forgotten when it has been closed for long (models/personal.py)
    contact_phone = Sealed(null=True)
    state = state(DemandState)
    close_reason = chars(16, null=True)
    settled_with = reference("Organisation", null=True)
    version = fields.IntField(default=1)
    posted_by = reference("Person")
    posted_at = moment()
    updated_at = moment()
    taken_at = moment(null=True)
    closed_at = moment(null=True)
    released_at = moment(null=True)
    expires_at = moment()
    spread_at = moment(null=True)
    alternatives_at = moment(null=True)

    class Meta:
        table = "demands"
        indexes = (
            ("enterprise_id", "id"), ("institution_id",), ("consultant_id",), ("product_id",), ("settled_with_id",), ("posted_by_id",),
        )
        constraints = (
            CheckConstraint(
                check="CASE target WHEN 'open' THEN institution_id IS NULL AND consultant_id IS NULL AND product_id IS NULL"
                      " WHEN 'institution' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NULL"
                      " WHEN 'consultant' THEN institution_id IS NOT NULL AND consultant_id IS NOT NULL AND product_id IS NULL"
                      " WHEN 'product' THEN institution_id IS NOT NULL AND consultant_id IS NULL AND product_id IS NOT NULL"
                      " ELSE false END",
                name="demands_addressed_to_one",
            ),
            CheckConstraint(
                check="(state = 'closed') = (close_reason IS NOT NULL) AND (state = 'closed') = (closed_at IS NOT NULL)",
                name="demands_closed_for_a_reason",
            ),
            CheckConstraint(
                check="close_reason IS NULL OR (close_reason IN ('settled','given_up') AND taken_at IS NOT NULL)"
                      " OR (close_reason IN ('withdrawn','expired') AND taken_at IS NULL)",
                name="demands_taken_are_neither_withdrawn_nor_expired",
            ),
            CheckConstraint(check="state NOT IN ('held','open') OR taken_at IS NULL", name="demands_open_are_not_taken"),
            CheckConstraint(check="state <> 'taken' OR taken_at IS NOT NULL", name="demands_taken_say_when"),
            CheckConstraint(
                check="(settled_with_id IS NOT NULL) = (close_reason IS NOT DISTINCT FROM 'settled')", name="demands_settled_with_somebody",
            ),
            CheckConstraint(
                check="spread_at IS NULL OR (target = 'open' AND state IN ('open','taken'))", name="demands_spread_while_alive",
            ),
            CheckConstraint(check="state NOT IN ('open','taken') OR released_at IS NOT NULL", name="demands_known_were_released"),
            CheckConstraint(check="alternatives_at IS NULL OR state = 'open'", name="demands_alternatives_while_open"),
            CheckConstraint(check="budget_fen IS NULL OR budget_fen > 0", name="demands_budget_positive"),
            CheckConstraint(
                check="(contact_name IS NULL) = (contact_phone IS NULL) AND (state = 'closed' OR contact_name IS NOT NULL)",
                name="demands_alive_have_a_contact",
            ),
        )


class DemandResponse(Table):
    """What one institution does about one demand. `is_chosen`: the enterprise chose it; the others take one of three places.

    The product that the institution offers, at which price, stands here until the enterprise orders it.
    """

    demand = reference("Demand")
    institution = reference("Organisation")
    state = state(ResponseState)
    is_chosen = fields.BooleanField()
    place = fields.SmallIntField(null=True)
    notified_at = moment()
    remind_at = moment(null=True)  # when it is reminded unless it has looked; null when that is over
    viewed_at = moment(null=True)
    viewed_by = reference("Person", null=True)
    taken_at = moment(null=True)
    taken_by = reference("Person", null=True)
    reached_at = moment(null=True)
    outcome_at = moment(null=True)
    remark = chars(500, null=True)
    product = reference("Product", null=True)
    price_fen = fen(null=True)
    offered_at = moment(null=True)

    class Meta:
        table = "demand_responses"
        unique_together = (("demand_id", "institution_id"),)
        indexes = (("institution_id", "id"), ("viewed_by_id",), ("taken_by_id",), ("product_id",))
        constraints = (
            UniqueConstraint(fields=("demand_id", "place"), name="demand_responses_places_once", condition="place IS NOT NULL"),
            CheckConstraint(check=f"place BETWEEN 1 AND {TAKERS_MAX}", name="demand_responses_places_are_few"),
            CheckConstraint(
                check="(place IS NOT NULL) = (taken_at IS NOT NULL AND NOT is_chosen)", name="demand_responses_take_a_place",
            ),
            CheckConstraint(
                check="(state IN ('notified','viewed','passed')) = (taken_at IS NULL) AND (taken_at IS NULL) = (taken_by_id IS NULL)",
                name="demand_responses_taken_by_somebody",
            ),
            CheckConstraint(
                check="(state = 'notified') = (viewed_at IS NULL) AND (viewed_at IS NULL) = (viewed_by_id IS NULL)",
                name="demand_responses_viewed_by_somebody",
            ),
            CheckConstraint(
                check="remind_at IS NULL OR (state = 'notified' AND is_chosen)", name="demand_responses_remind_the_chosen",
            ),
            CheckConstraint(
                check="state NOT IN ('signed','declined','no_contact','converted_to_order') OR outcome_at IS NOT NULL",
                name="demand_responses_outcome_has_its_moment",
            ),
            CheckConstraint(
                check="(product_id IS NULL) = (price_fen IS NULL) AND (product_id IS NULL) = (offered_at IS NULL)"
                      " AND (price_fen IS NULL OR price_fen > 0) AND (product_id IS NULL OR taken_at IS NOT NULL)",
                name="demand_responses_offers_are_whole",
            ),
            CheckConstraint(
                check="state <> 'converted_to_order' OR product_id IS NOT NULL", name="demand_responses_ordered_what_was_offered",
            ),
        )


class DemandAlternative(Table):
    """An institution that the enterprise was offered because nobody had taken its demand up."""

    demand = reference("Demand")
    institution = reference("Organisation")
    rank = fields.SmallIntField()
    offered_at = moment()
    forwarded_at = moment(null=True)

    class Meta:
        table = "demand_alternatives"
        unique_together = (("demand_id", "institution_id"),)
        indexes = (("institution_id",),)


class DemandFile(Table):
    demand = reference("Demand")
    attachment = reference("Attachment")

    class Meta:
        table = "demand_files"
        unique_together = (("demand_id", "attachment_id"),)
        indexes = (("attachment_id",),)
