"""Our routes against hand-written ones on the same data, machine and minute (docs/performance.md). `make bench [SIZE=small|full]`."""
