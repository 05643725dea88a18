"""Demonstration data, and walks through the manuals over HTTP. Nothing here runs in production."""
