"""HTTP for phones and for the approving offices: a route reads a body, calls one use-case and shows the answer."""
