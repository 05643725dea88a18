"""For schemathesis: who asks, and about what. Loaded by its process, with the scene of tests/test_contract.py in a file.

Random ids would never get past 404, and one role past 403. So every call is made by somebody whom the operation lets in, and
numbers in a path become ids of things that are there, three times out of four.
"""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import schemathesis

SCENE = json.loads(Path(os.environ["CONTRACT_SCENE"]).read_text(encoding="utf-8"))
# What ends or changes the session of who asks, or the person's other sessions: done by somebody whom nothing else needs.
OWN_SESSION = {"close_account", "log_out", "revoke_other_sessions", "revoke_session", "switch_membership"}
_turn = itertools.count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    operation = case.operation.definition.raw
    name, turn = operation["operationId"], next(_turn)
    callers = SCENE["throwaway"] if name in OWN_SESSION else SCENE["callers"][name]
    if operation["security"] and callers:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {callers[turn % len(callers)]}"}
    choices = SCENE["ids"].get(name)
    for parameter, value in (case.path_parameters or {}).items():
        if choices and turn % 4 and isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18:
            case.path_parameters[parameter] = choices[turn % len(choices)].get(parameter, value)
