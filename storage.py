"""Where the bytes of attachments are: a folder, or a bucket by URL. The same code for both, through obstore."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from handlers.refusals import StorageAway
from settings import Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig

log = structlog.get_logger(__name__)

CHUNK_BYTES = 256 * 1024  # of a download: small enough that a slow phone holds little memory
PART_BYTES = 5 * 1024 * 1024  # of an upload: the least that S3 takes as a part
STORE_TIMEOUT = timedelta(seconds=30)  # one request to the bucket; a 5 MB part over 2 Mbit/s takes 20
CONNECT_TIMEOUT = timedelta(seconds=3)
# A hiccup is tried again; whoever waits is told before their phone gives up. A request that used up its 30 seconds is not repeated.
RETRIES_MAX, RETRY_TIMEOUT = 3, timedelta(seconds=20)


class ObjectStorage:
    """`handlers.ports.Storage` over obstore."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Stored as a whole under a new key, or not at all: an upload of parts that is not completed shows no object."""
        with _said_plainly("put", FileNotFoundError):  # what is not found is the bucket
            await obstore.put_async(self._store, key, chunks, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=2)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Raises FileNotFoundError at the first chunk."""
        with _said_plainly("get"):
            found = await obstore.get_async(self._store, key)
            async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    async def delete(self, key: str) -> None:
        try:
            with _said_plainly("delete"):
                await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return  # S3 says nothing, a folder says this: both mean that it is gone


@contextmanager
def _said_plainly(action: str, *also: type[Exception]) -> Iterator[None]:
    """Whatever keeps the storage from its work is for the operator's eyes; the person is told to try again later."""
    failures: tuple[type[Exception], ...] = (BaseError, *also)
    try:
        yield
    except failures as error:
        log.exception("storage_failed", action=action, error=type(error).__name__)
        raise StorageAway from error


def open_storage(settings: Settings) -> ObjectStorage:
    """The storage of `settings.storage_url` (s3://bucket/prefix, file:///folder); unset, the folder `storage` under var_dir.

    S3 takes its credentials from the AWS_* variables of the environment, as every S3 tool does.
    """
    url = settings.storage_url
    if url is None or url.startswith("file://"):
        folder = Path(url.removeprefix("file://")) if url else settings.var_dir / "storage"
        folder.mkdir(parents=True, exist_ok=True)  # the store's own error would name neither the folder nor the reason
        return ObjectStorage(LocalStore(folder))
    # An endpoint is https unless AWS_ENDPOINT_URL says http:// in so many words, as a MinIO in a closed network does.
    options: ClientConfig = {"timeout": STORE_TIMEOUT, "connect_timeout": CONNECT_TIMEOUT, "allow_http": True}
    return ObjectStorage(from_url(url, client_options=options, retry_config={"max_retries": RETRIES_MAX, "retry_timeout": RETRY_TIMEOUT}))
