"""Every Api of this package: a module that declares one is served and documented, none can be forgotten."""

import pkgutil
from importlib import import_module

import miniapp_api
from miniapp_api.routing import Api

APIS: list[Api] = [
    module.api
    for name in sorted(found.name for found in pkgutil.iter_modules(miniapp_api.__path__))
    if name != "apis" and hasattr(module := import_module(f"miniapp_api.{name}"), "api")
]
