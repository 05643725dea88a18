"""Texts of people that others will read, and what the platform's content check or a human says of them."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference, state
from models.states import Graph


class CheckState(StrEnum):
    PENDING = "pending"      # 待审: nobody but the author sees it
    IN_REVIEW = "in_review"  # 人工审核中
    PASSED = "passed"        # 已公布
    HIDDEN = "hidden"        # 未通过
    WITHDRAWN = "withdrawn"  # 已撤回: nobody needs to know any more


S = CheckState
CHECK_GRAPH = Graph("content_check", "content_checks", CheckState, {
    (S.PENDING, S.PASSED): "content_check.passed",
    (S.PENDING, S.HIDDEN): "content_check.hidden",
    (S.PENDING, S.IN_REVIEW): "content_check.put_to_a_human",
    (S.PENDING, S.WITHDRAWN): "content_check.withdrawn",
    (S.IN_REVIEW, S.WITHDRAWN): "content_check.withdrawn",
    (S.IN_REVIEW, S.PASSED): "content_check.passed",
    (S.IN_REVIEW, S.HIDDEN): "content_check.hidden",
    (S.IN_REVIEW, S.PENDING): "content_check.changed",
    (S.PASSED, S.PENDING): "content_check.changed",
    (S.HIDDEN, S.PENDING): "content_check.changed",
})


class ContentCheck(Table):
    """The newest text of a subject. A subject without a row has nothing to be checked: it is shown.

    `next_at`: when the platform is asked next, while it is asked. `asked_at` names the asking whose verdict is waited for.
    """

    subject = chars(32)
    subject_id = fields.BigIntField()
    text = fields.TextField()
    identity = reference("Identity", null=True)
    person = reference("Person")
    organisation = reference("Organisation")
    state = state(CheckState)
    tries = fields.SmallIntField(default=0)
    next_at = moment(null=True)
    asked_at = moment(null=True)
    suggest = chars(16, null=True)
    label = fields.IntField(null=True)  # the platform's reason: 100 nothing, 10001 advertisement, 20006 crime, …
    trace_id = chars(64, null=True)
    reason = chars(500, null=True)
    created_at = moment()
    decided_at = moment(null=True)

    class Meta:
        table = "content_checks"
        indexes = (("identity_id",), ("person_id",), ("organisation_id",))
        constraints = (
            UniqueConstraint(fields=("subject", "subject_id"), name="content_checks_one_per_subject"),
            CheckConstraint(check="state IN ('pending','in_review','passed','hidden','withdrawn')", name="content_checks_state_known"),
            CheckConstraint(check="(state = 'pending') = (next_at IS NOT NULL)", name="content_checks_asked_while_pending"),
            CheckConstraint(
                check="(state IN ('passed','hidden','withdrawn')) = (decided_at IS NOT NULL)", name="content_checks_decided_once",
            ),
            CheckConstraint(check="state <> 'hidden' OR reason IS NOT NULL", name="content_checks_hidden_with_reason"),
        )
