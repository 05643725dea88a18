"""Sweeps that ran: so that one that does not is noticed, from whichever machine one looks (F19)."""

from tortoise import fields

from models.fields import Table, chars, moment


class Heartbeat(Table):
    """One row per sweep, kept by the leader. `failures` counts the runs in a row that broke; `error` is the last one's kind."""

    sweep = chars(48, unique=True)
    every_seconds = fields.FloatField()
    ran_at = moment()
    done = fields.BigIntField(default=0)
    failures = fields.IntField(default=0)
    error = chars(200, null=True)

    class Meta:
        table = "heartbeats"
