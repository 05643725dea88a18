"""Many new tables as one operation of a migration."""

from tortoise.migrations.operations import CreateModel, Operation
from tortoise.migrations.schema_editor import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import ModelState, State


class CreateTables(Operation):
    """The CreateModels of a migration, drawn once: before each single one Tortoise draws all models anew, which for ninety tables
    took twenty seconds of a start and now takes one.
    """

    def __init__(self, *tables: CreateModel) -> None:
        self.tables = tables

    def describe(self) -> str:
        return f"Create {len(self.tables)} tables"

    def state_forward(self, app_label: str, state: State) -> None:
        for table in self.tables:
            state.models[app_label, table.name] = ModelState.make_from_model(app_label, table.model)
        state.reload_models([(app_label, table.name) for table in self.tables])

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        for table in self.tables:  # in the order of their references
            await table.database_forward(app_label, old_state, new_state, state_editor)

    async def database_backward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        for table in reversed(self.tables):
            await table.database_backward(app_label, old_state, new_state, state_editor)
