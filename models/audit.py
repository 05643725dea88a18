"""What happened, append-only: one row per state change in the same commit, sealed into a hash chain later."""

from tortoise import fields

from models.fields import Table, chars, moment


class AuditEntry(Table):
    """No foreign keys: an entry outlives whatever it speaks of. `txid` lets the sealer know what is complete."""

    at = moment()
    person_id = fields.BigIntField(null=True)
    organisation_id = fields.BigIntField(null=True)
    role = chars(24)
    action = chars(64)
    subject = chars(32)
    subject_id = fields.BigIntField()
    before = chars(24, null=True)
    after = chars(24, null=True)
    data: fields.Field[dict[str, object]] = fields.JSONField(default=dict)
    request_id = chars(40)

    class Meta:
        table = "audit_entries"
        indexes = (("subject", "subject_id"),)


class Seal(Table):
    """A link of the hash chain over a table's rows of transactions below `upto_xid` (see handlers/audit.py)."""

    chain = chars(24)
    from_xid = fields.BigIntField()
    upto_xid = fields.BigIntField()
    rows = fields.BigIntField()
    previous = fields.BinaryField()
    digest = fields.BinaryField()
    sealed_at = moment()

    class Meta:
        table = "seals"
        unique_together = (("chain", "upto_xid"),)


class IdempotencyKey(Table):
    """The answer to a request that was carried out, written in the commit of its effect; kept seven days."""

    principal = chars(64)
    operation = chars(96)
    key = chars(255)
    body_hash = fields.BinaryField()
    status = fields.SmallIntField()
    answer = fields.BinaryField()
    created_at = moment()

    class Meta:
        table = "idempotency_keys"
        unique_together = (("principal", "operation", "key"),)
        indexes = (("created_at",),)
