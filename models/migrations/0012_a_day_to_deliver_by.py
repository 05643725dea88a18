from tortoise import migrations
from tortoise import fields
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint

FORWARD = """
CREATE INDEX orders_terminations ON orders (termination_until) WHERE termination_until IS NOT NULL;
CREATE INDEX orders_to_deliver ON orders (due_at) WHERE state = 'accepted';
DROP INDEX events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'demand_alternatives', 'demand_posted', 'demand_reminder', 'order_delivered', 'order_paid', 'order_placed',
  'order_termination', 'order_undelivered', 'price_confirmed', 'price_requested', 'review_reminder'
);
UPDATE orders SET due_at = now() + interval '28 days', reminded = 0 WHERE state = 'accepted';
"""

BACKWARD = """
UPDATE orders SET due_at = NULL WHERE state = 'accepted';
DROP INDEX events_supersedable;
CREATE INDEX events_supersedable ON events (subject, subject_id) WHERE kind IN (
  'approval_waiting', 'demand_alternatives', 'demand_posted', 'demand_reminder', 'order_delivered', 'order_paid', 'order_placed',
  'price_confirmed', 'price_requested', 'review_reminder'
);
DROP INDEX orders_to_deliver;
DROP INDEX orders_terminations;
"""
# What was paid in another year than it was placed in is numbered behind the uses of that year, also above the cap: it was allowed.
RENUMBER = """
UPDATE orders o SET use_year = m.year, use_nth = m.nth FROM (
  SELECT p.id, p.year, coalesce(u.most, 0) + row_number() OVER (PARTITION BY p.enterprise_id, p.product_id, p.year ORDER BY p.id) AS nth
  FROM (
    SELECT o.id, o.enterprise_id, o.product_id, o.use_year,
      extract(year FROM coalesce(max(a.submitted_at), o.paid_at) AT TIME ZONE 'Asia/Shanghai')::smallint AS year
    FROM orders o LEFT JOIN approvals a ON a.subject = 'order' AND a.subject_id = o.id AND a.kind = 'payment'
    WHERE o.use_nth IS NOT NULL AND (o.paid_at IS NOT NULL OR o.state = 'pay_review') GROUP BY o.id
  ) p LEFT JOIN (
    SELECT enterprise_id, product_id, use_year, max(use_nth) AS most FROM orders WHERE use_nth IS NOT NULL GROUP BY 1, 2, 3
  ) u ON (u.enterprise_id, u.product_id, u.use_year) = (p.enterprise_id, p.product_id, p.year)
  WHERE p.year <> p.use_year
) m WHERE o.id = m.id;
"""
WHOLE = (
    "num_nulls(termination_side, termination_fen, termination_reason, termination_until) IN (0, 4) AND"
    " (termination_side IS NULL OR termination_side IN ('enterprise','institution') AND state IN ('accepted','delivered')"
    " AND termination_fen BETWEEN 1 AND voucher_fen)"
)


class Migration(migrations.Migration):
    """What was accepted is delivered by a day, or ended by both (docs/decisions/0245); what is in service has 28 days from here."""

    dependencies = [("models", "0011_contested_rounds")]

    initial = False

    operations = [
        ops.AddField(model_name="Order", name="termination_fen", field=fields.BigIntField(null=True)),
        ops.AddField(model_name="Order", name="termination_reason", field=fields.CharField(null=True, max_length=500)),
        ops.AddField(model_name="Order", name="termination_side", field=fields.CharField(null=True, max_length=16)),
        ops.AddField(model_name="Order", name="termination_until", field=fields.DatetimeField(null=True)),
        ops.AddConstraint(model_name="Order", constraint=CheckConstraint(check=WHOLE, name="orders_terminations_are_whole")),
        ops.RunSQL(FORWARD, reverse_sql=BACKWARD),
        ops.RunSQL(RENUMBER, reverse_sql="SELECT 1"),
    ]
