"""Several processes of one machine that live and end together: the parent (supervisor), its port, and what a child has from it."""
