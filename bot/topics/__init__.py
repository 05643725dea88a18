"""Answers to the intents of bot/phrases/intents.toml, by feature. Each calls the use-case that the API calls, and no other."""
