"""The bodies that all applications share."""

from typing import Annotated, Any

from pydantic import Field

from miniapp_api.routing import Body

FieldName = Annotated[str, Field(pattern="^[a-z][a-z_]{0,47}$")]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class ApplicationBody(Body):
    """Values are checked against the form's own schema by the use-case, which answers with a problem for each field."""

    form: Annotated[dict[FieldName, Any], Field(max_length=60, description="表单字段，结构见 json_schema；省略的个人信息字段保留原值")]
    files: dict[FieldName, Annotated[list[Id], Field(max_length=20)]] = Field(
        default_factory=dict, max_length=20, description="附件项 → 附件 id"
    )
