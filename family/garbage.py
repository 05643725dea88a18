"""The garbage collector of a process that stays for days: it looks at what comes and goes, not at what was there when work began."""

import gc


def let_garbage_rest() -> None:
    """Modules, routes and schemas stay to the end: the collector need not walk over them, nor look after every tenth of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
