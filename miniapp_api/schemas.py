"""JSON schemas of what goes in and out, with every named type under components/schemas."""

from functools import reduce
from operator import or_
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import typing_extensions
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from handlers.titles import titles_of

REF = "#/components/schemas/{model}"
Key = tuple[str, str]  # an operation's name, and which of its schemas: body, query, answer


class Schemas(GenerateJsonSchema):
    """Says what `reading` enforces everywhere: integers fit an int64. Leaves out titles that repeat a name."""

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        described = super().int_schema(schema)
        if self.mode == "validation":
            if "exclusiveMinimum" not in described:
                described.setdefault("minimum", -(2**63))
            if "exclusiveMaximum" not in described:
                described.setdefault("maximum", 2**63 - 1)
        return described | {"format": "int64"}

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        titles = titles_of(schema["cls"])
        return super().enum_schema(schema) | ({"x-enum-titles": titles} if titles else {})

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def describe(wanted: list[tuple[Key, JsonSchemaMode, Any]]) -> tuple[dict[Key, Any], dict[str, Any]]:
    """(schema of each wanted annotation, components by name)."""
    seen: dict[Any, Any] = {}
    adapters = [
        (key, mode, annotation if isinstance(annotation, TypeAdapter) else TypeAdapter(_modern(annotation, {}, seen)))
        for key, mode, annotation in wanted
    ]
    found, definitions = TypeAdapter.json_schemas(adapters, ref_template=REF, schema_generator=Schemas)
    components = definitions.get("$defs", {})
    for component in components.values():
        component.pop("title", None)
        if titles := component.get("x-enum-titles"):  # for people, too, in place of what the class says to programmers
            component["description"] = "；".join(f"{value} {titles[value]}" for value in component["enum"])
        if not in_chinese(component.get("description", "")):
            component.pop("description", None)
    return {key: schema for (key, _), schema in found.items()}, components


def in_chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


# pydantic needs typing_extensions' TypedDict before Python 3.12; the use-cases return typing's, and need not know.


def _modern(annotation: Any, variables: dict[TypeVar, Any], seen: dict[Any, Any]) -> Any:
    """The same annotation over TypedDicts that pydantic can describe, with type variables filled in."""
    if isinstance(annotation, TypeVar):
        return variables.get(annotation, Any)
    if is_typeddict(annotation):
        return _typed_dict(annotation, annotation.__name__, {}, seen)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return annotation
    if origin is Annotated:
        return Annotated[(_modern(arguments[0], variables, seen), *arguments[1:])]
    parts = tuple(_modern(part, variables, seen) for part in arguments)
    if is_typeddict(origin):
        name = "".join(getattr(part, "__name__", "Any") for part in parts) + origin.__name__
        return _typed_dict(origin, name, dict(zip(origin.__parameters__, parts, strict=True)), seen)
    if origin in {Union, UnionType}:
        return reduce(or_, parts)
    return annotation if origin is Literal else origin[parts]


def _typed_dict(original: Any, name: str, variables: dict[TypeVar, Any], seen: dict[Any, Any]) -> Any:
    key = (original, tuple(variables.values()))
    if key not in seen:
        hints = get_type_hints(original, include_extras=True)
        # Registered before its fields are looked at: a tree of rules contains itself.
        seen[key] = made = typing_extensions.TypedDict(name, dict.fromkeys(hints, Any))  # type: ignore[operator]
        made.__doc__ = original.__doc__
        fields = {field: _modern(_bare(hint), variables, seen) for field, hint in hints.items()}
        optional = original.__optional_keys__
        made.__annotations__ = {
            field: typing_extensions.NotRequired[hint] if field in optional else hint for field, hint in fields.items()
        }
        made.__required_keys__, made.__optional_keys__ = original.__required_keys__, optional
    return seen[key]


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in {NotRequired, Required} else hint
