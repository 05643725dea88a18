"""The servers of the development default: PostgreSQL and Valkey from wheels, with no Docker and no installed service."""
