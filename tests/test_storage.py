"""One contract for every storage: a folder, and S3 by a real server that checks signatures (docs/decisions/0220)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

import storage
from handlers import attachments
from handlers.file_types import MEGABYTE
from handlers.refusals import StorageAway
from settings import Settings
from storage import ObjectStorage, open_storage
from tests.applications import PDF, applicant, file, picture, upload
from tests.s3 import BUCKET, S3, running_s3
from tests.test_attachments import download
from tests.world import World

PREFIX = "attachments"


@dataclass
class Place:
    """A storage, and what is really in it: sizes by key, uploads that hang there included."""

    storage: ObjectStorage
    left: Callable[[], dict[str, int]]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running_s3() as server:
        yield server


def at(url: str) -> ObjectStorage:
    return open_storage(Settings(_env_file=None, storage_url=url))


def bucket(monkeypatch: pytest.MonkeyPatch, server: S3, name: str = BUCKET) -> ObjectStorage:
    """As the application opens it, by STORAGE_URL and the AWS_* variables."""
    for variable, value in server.environment().items():
        monkeypatch.setenv(variable, value)
    return at(f"s3://{name}/{PREFIX}")


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        def files() -> dict[str, int]:
            return {str(one.relative_to(tmp_path)): one.stat().st_size for one in tmp_path.rglob("*") if one.is_file()}

        yield Place(at(f"file://{tmp_path}"), files)
        return
    server: S3 = request.getfixturevalue("s3")

    def objects() -> dict[str, int]:
        return {key.removeprefix(f"{PREFIX}/"): size for key, size in server.left().items()}

    server.empty()
    yield Place(bucket(monkeypatch, server), objects)


async def pieces(*parts: bytes, fails: bool = False) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if fails:
        raise ConnectionResetError


async def read(store: ObjectStorage, key: str) -> bytes:
    return b"".join([chunk async for chunk in store.get(key)])


# --- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [
    (b"x",), (b"a", b"b" * 100), (bytes(storage.PART_BYTES),), (bytes(storage.PART_BYTES), b"z"), (b"\x00\xff" * 3 * MEGABYTE,),
], ids=["byte", "pieces", "part", "part and byte", "parts"])
async def test_what_is_put_comes_back_to_the_byte(place: Place, parts: tuple[bytes, ...]) -> None:
    whole = b"".join(parts)
    await place.storage.put("2026/03/kept", pieces(*parts))
    assert await read(place.storage, "2026/03/kept") == whole
    assert place.left() == {"2026/03/kept": len(whole)}


async def test_a_large_file_passes_in_chunks(place: Place) -> None:
    digest = hashlib.sha256()

    async def large() -> AsyncIterator[bytes]:
        for number in range(64):
            part = bytes([number]) * MEGABYTE
            digest.update(part)
            yield part

    await place.storage.put("2026/03/large", large())
    back, sizes = hashlib.sha256(), []
    async for chunk in place.storage.get("2026/03/large"):
        back.update(chunk)
        sizes.append(len(chunk))
    assert (back.digest(), sum(sizes)) == (digest.digest(), 64 * MEGABYTE)
    assert max(sizes) < 8 * MEGABYTE  # never the file as a whole: a process lives with 150 MB


@pytest.mark.parametrize("megabytes", [1, 12])
async def test_an_upload_that_breaks_leaves_nothing_not_even_parts(place: Place, megabytes: int) -> None:
    with pytest.raises(ConnectionResetError):
        await place.storage.put("2026/03/half", pieces(*[bytes(MEGABYTE)] * megabytes, fails=True))
    assert place.left() == {}
    with pytest.raises(FileNotFoundError):
        await read(place.storage, "2026/03/half")


async def test_an_upload_that_is_cancelled_shows_no_object(place: Place) -> None:
    """Its parts stay in a bucket until the rule of docs/runbook.md takes them away; nobody can read them."""
    begun, never = asyncio.Event(), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield bytes(storage.PART_BYTES)
        yield b"more"
        begun.set()
        await never.wait()

    task = asyncio.ensure_future(place.storage.put("2026/03/stuck", stuck()))
    reading = asyncio.ensure_future(begun.wait())
    assert reading in (await asyncio.wait({task, reading}, return_when=asyncio.FIRST_COMPLETED))[0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(FileNotFoundError):
        await read(place.storage, "2026/03/stuck")


async def test_a_missing_key_is_missing_at_the_first_chunk(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        await anext(place.storage.get("2026/03/nobody"))


async def test_deleting_takes_one_key_away_and_is_content_with_none(place: Place) -> None:
    for name in ("a", "ab"):
        await place.storage.put(name, pieces(b"x"))
    for _ in range(2):
        await place.storage.delete("a")
    assert place.left() == {"ab": 1}


async def test_two_files_at_once_do_not_mix(place: Place) -> None:
    async def of(byte: int) -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes([byte]) * MEGABYTE

    await asyncio.gather(*(place.storage.put(f"file-{byte}", of(byte)) for byte in range(3)))
    for byte in range(3):
        assert set(await read(place.storage, f"file-{byte}")) == {byte}


# --- the application on it ---------------------------------------------------------------------------------------------


def move_to(world: World, monkeypatch: pytest.MonkeyPatch, store: ObjectStorage) -> None:
    """The running application keeps its files there from now on."""
    for name in ("put", "get", "delete"):
        monkeypatch.setattr(world.ports.storage, name, getattr(store, name))


async def test_the_application_keeps_its_files_there(world: World, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through HTTP: in, looked at, out, removed; what is refused on the way leaves nothing."""
    move_to(world, monkeypatch, place.storage)
    owner, photo = await applicant(world), picture(kind="JPEG")
    _, kept = await upload(world, owner, "business_licence", "a.jpg", photo)
    assert (await download(world, kept["id"], owner))[:2] == (200, photo)
    assert (await upload(world, owner, "business_licence", "a.jpg", photo[:-30]))[1]["code"] == "file_broken"
    assert (await upload(world, owner, "contract", content=PDF + bytes(6 * MEGABYTE)))[1]["code"] == "file_too_large"
    assert list(place.left().values()) == [len(photo)]
    assert (await world.delete(f"/attachments/{kept['id']}", by=owner))[0] == 200
    assert place.left() == {}


# --- a bucket that says no, or nothing ---------------------------------------------------------------------------------


async def fails(store: ObjectStorage, log: list[str]) -> None:
    """Whatever is asked of it: one refusal for the person, one line for the operator."""
    for work in (store.put("a", pieces(b"x")), anext(store.get("a")), store.delete("a")):
        with pytest.raises(StorageAway):
            await work
    assert log == ["put", "get", "delete"]


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actions that the operator's log names as failed."""
    said: list[str] = []
    monkeypatch.setattr(storage.log, "exception", lambda event, **facts: said.append(facts["action"]))
    return said


@pytest.mark.parametrize("change", [{"secret": "wrong"}, {"key_id": "AKIAUNKNOWN000000000"}], ids=["secret", "key"])
async def test_wrong_credentials(s3: S3, monkeypatch: pytest.MonkeyPatch, failures: list[str], change: dict[str, str]) -> None:
    s3.empty()
    await fails(bucket(monkeypatch, replace(s3, **change)), failures)
    assert s3.left() == {}


async def test_a_bucket_that_is_another_s(s3: S3, monkeypatch: pytest.MonkeyPatch, failures: list[str]) -> None:
    with pytest.raises(StorageAway):
        await bucket(monkeypatch, s3, "somebody-elses").put("a", pieces(b"x"))
    assert failures == ["put"]


async def test_nobody_listens(s3: S3, monkeypatch: pytest.MonkeyPatch, failures: list[str]) -> None:
    await fails(bucket(monkeypatch, replace(s3, endpoint="http://127.0.0.1:9")), failures)


async def test_somebody_listens_and_never_answers(s3: S3, monkeypatch: pytest.MonkeyPatch, failures: list[str]) -> None:
    """One time-out, and no second try of a request that used it up."""
    monkeypatch.setattr(storage, "STORE_TIMEOUT", timedelta(milliseconds=200))
    monkeypatch.setattr(storage, "RETRY_TIMEOUT", timedelta(milliseconds=100))
    connections: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1") as silent:
        port = silent.sockets[0].getsockname()[1]
        await fails(bucket(monkeypatch, replace(s3, endpoint=f"http://127.0.0.1:{port}")), failures)
        for writer in connections:
            writer.close()
    assert len(connections) == 3


async def test_people_are_told_and_the_sweep_tidies_up(s3: S3, world: World, monkeypatch: pytest.MonkeyPatch, failures: list[str]) -> None:
    """The bucket goes away: uploads, downloads and removals say so; when it is back, what was begun is swept up."""
    there = bucket(monkeypatch, s3)
    move_to(world, monkeypatch, there)
    owner = await applicant(world)
    kept = await file(world, owner, "business_licence")
    move_to(world, monkeypatch, bucket(monkeypatch, replace(s3, endpoint="http://127.0.0.1:9")))
    status, problem = await upload(world, owner, "contract")
    assert (status, problem["code"], (await download(world, kept, owner))[0]) == (503, "storage_unavailable", 503)
    assert failures == ["put", "get"]
    assert await world.value("SELECT array_agg(state ORDER BY id) FROM attachments") == ["stored", "uploading"]
    move_to(world, monkeypatch, there)
    world.clock.advance(hours=24)
    assert await world.sweep(attachments.purge_unfinished) == 1
    assert (await download(world, kept, owner))[:2] == (200, PDF)


def test_the_storage_of_a_newcomer_is_a_folder_below_var(tmp_path: Path) -> None:
    open_storage(Settings(_env_file=None, var_dir=tmp_path))
    assert (tmp_path / "storage").is_dir()
