"""A stand-in for the open platforms of WeChat and DingTalk, for development and tests only.

It keeps the documented rules of both platforms in memory and shows on a page what each phone received.
Production code never imports this package: it knows base URLs and nothing else.
"""

from simulator.app import Options, create_app, serve

__all__ = ["Options", "create_app", "serve"]
