"""The platforms: clients that implement `handlers.ports`, the message templates, links and codes."""
