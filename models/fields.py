"""Columns that mean the same in every table."""

from enum import StrEnum
from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.models import Model


class Table(Model):
    id = fields.BigIntField(primary_key=True)

    class Meta:
        abstract = True


def reference(to: str, *, null: bool = False) -> Any:
    """A foreign key that never cascades: rows of public money are not deleted by way of another row."""
    options: dict[str, Any] = {"on_delete": OnDelete.RESTRICT, "related_name": False, "null": null}
    return fields.ForeignKeyField(f"models.{to}", **options)


def fen(*, null: bool = False) -> Any:
    """An amount of money in integer fen (1 yuan = 100 fen, 1 服务券 = 1 元)."""
    options: dict[str, Any] = {"null": null}
    return fields.BigIntField(**options)


def state(states: type[StrEnum], **kwargs: Any) -> Any:
    return fields.CharField(max_length=24, description="|".join(states), **kwargs)


def moment(*, null: bool = False) -> Any:
    """An instant, stored in UTC. There is no `auto_now`: the moment comes from the context."""
    options: dict[str, Any] = {"null": null}
    return fields.DatetimeField(**options)


def chars(length: int = 64, **kwargs: Any) -> Any:
    return fields.CharField(max_length=length, **kwargs)


class Sealed(fields.BinaryField[bytes]):
    """A personal value, encrypted before it gets here; `models/personal.py` says why we keep it."""


class BlindIndex(fields.BinaryField[bytes]):
    """A keyed hash of a personal value: equal values can be found, none can be read."""
