"""Where the bytes of attachments are: a folder, or a bucket by URL. The same code for both, through obstore."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from settings import Settings

CHUNK_BYTES = 256 * 1024  # of a download: small enough that a slow phone holds little memory
PART_BYTES = 5 * 1024 * 1024  # of an upload: the least that S3 takes as a part
STORE_TIMEOUT = timedelta(seconds=30)  # one request to the bucket; a 5 MB part over 2 Mbit/s takes 20


class ObjectStorage:
    """`handlers.ports.Storage` over obstore."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Stored as a whole under a new key, or not at all: an upload of parts that is not completed shows no object."""
        await obstore.put_async(self._store, key, chunks, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=2)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Raises FileNotFoundError at the first chunk."""
        found = await obstore.get_async(self._store, key)
        async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)

    async def delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return  # S3 says nothing, a folder says this: both mean that it is gone


def open_storage(settings: Settings) -> ObjectStorage:
    """The storage of `settings.storage_url` (s3://bucket/prefix, file:///folder); unset, the folder `storage` under var_dir.

    S3 takes its credentials from the AWS_* variables of the environment, as every S3 tool does.
    """
    url = settings.storage_url
    if url is None or url.startswith("file://"):
        folder = Path(url.removeprefix("file://")) if url else settings.var_dir / "storage"
        return ObjectStorage(LocalStore(folder, mkdir=True))
    return ObjectStorage(from_url(url, client_options={"timeout": STORE_TIMEOUT}))
