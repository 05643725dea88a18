"""Personal values: sealed, found, masked, and every column of them accounted for."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr, ValidationError
from tortoise.models import Model

import models
from handlers import personal
from handlers.resealing import reseal_due
from models.fields import BlindIndex, Sealed
from models.personal import REGISTRY, Kept, PersonalColumn
from settings import Settings

OLD, NEW = "k2025:" + "11" * 32, "k2026:" + "22" * 32
LOOKS_PERSONAL = re.compile(
    r"phone|mobile|landline|email|id_number|id_card|bank_|contact|legal_person|open_id|union_id|(person|real|full|user|nick)_?name"
    r"|address|latitude|longitude|birth|gender|avatar|wechat|passport"
)


def keyed(keys: str, cipher: str = "aes-256-gcm", index_key: str = "index key") -> Settings:
    return Settings(
        _env_file=None, personal_keys=SecretStr(keys), personal_cipher=cipher, blind_index_key=SecretStr(index_key),
    )


def reseal_needed(settings: Settings, blob: bytes) -> bool:
    return not blob.startswith(personal.current_header(settings))


def tables() -> Iterator[type[Model]]:
    for name in models.ALL:
        module = importlib.import_module(name)
        yield from (found for found in vars(module).values()
                    if isinstance(found, type) and issubclass(found, Model) and found.__module__ == name)


@pytest.mark.parametrize("cipher", ["aes-256-gcm", "sm4-gcm"])
def test_a_sealed_value_opens_to_itself_and_shows_nothing_of_it(cipher):
    settings = keyed(NEW, cipher)
    first, second = personal.seal(settings, "张三13800138000"), personal.seal(settings, "张三13800138000")
    assert personal.open_sealed(settings, first) == "张三13800138000"
    assert first != second
    assert b"13800138000" not in first
    assert first.startswith(bytes((1, 1 if cipher == "aes-256-gcm" else 2, 5)) + b"k2026")
    assert personal.open_sealed(settings, memoryview(first)) == "张三13800138000"
    assert personal.open_sealed(settings, personal.seal(settings, "")) == ""


def test_after_a_rotation_old_values_open_and_ask_to_be_sealed_again():
    old = personal.seal(keyed(OLD), "13800138000")
    rotated = keyed(f"{NEW},{OLD}")
    assert personal.open_sealed(rotated, old) == "13800138000"
    assert reseal_needed(rotated, old)
    again = personal.seal(rotated, personal.open_sealed(rotated, old))
    assert not reseal_needed(rotated, again)
    assert personal.open_sealed(keyed(NEW), again) == "13800138000"


async def test_the_sweep_seals_everything_anew_so_that_the_old_key_can_go(world):
    anna, bert = (await world.person())[0], (await world.person())[0]
    shop = await world.institution()
    old, both, new = keyed(OLD), keyed(f"{NEW},{OLD}", "sm4-gcm"), keyed(NEW)
    for person, phone in ((anna, "13800138000"), (bert, "13900139000")):
        await world.owner.execute("UPDATE persons SET phone = $2 WHERE id = $1", person, personal.seal(old, phone))
    await world.owner.execute(
        "UPDATE institutions SET bank_account = $2 WHERE organisation_id = $1", shop.organisation_id, personal.seal(old, "62220200")
    )
    ctx = replace(world.context(), settings=both)
    assert [await reseal_due(ctx, limit=1) for _ in range(4)] == [1, 1, 1, 0]
    sealed = await world.owner.fetch("SELECT phone AS sealed FROM persons WHERE phone IS NOT NULL ORDER BY id")
    sealed += await world.owner.fetch("SELECT bank_account AS sealed FROM institutions")
    assert [personal.open_sealed(new, one["sealed"]) for one in sealed] == ["13800138000", "13900139000", "62220200"]
    assert not any(reseal_needed(both, one["sealed"]) for one in sealed)
    told = await world.owner.fetch("SELECT subject, subject_id, data FROM audit_entries WHERE action = 'personal.resealed' ORDER BY id")
    assert [(one["subject"], one["subject_id"]) for one in told][:2] == [("persons", anna), ("persons", bert)]


async def test_the_sweep_changes_nothing_when_the_old_key_was_thrown_away_too_early(world):
    anna = (await world.person())[0]
    await world.owner.execute("UPDATE persons SET phone = $2 WHERE id = $1", anna, personal.seal(keyed(OLD), "13800138000"))
    before = await world.snapshot("persons", "audit_entries")
    with pytest.raises(personal.SealBrokenError, match="no longer in the ring"):
        await reseal_due(replace(world.context(), settings=keyed(NEW)))
    assert await world.snapshot("persons", "audit_entries") == before


async def test_values_that_do_not_open_are_passed_by_and_the_sweep_fails_when_all_others_are_done(world):
    anna, bert, carl = [(await world.person())[0] for _ in range(3)]
    lost, old = keyed("k2024:" + "33" * 32), keyed(OLD)
    for person, ring in ((anna, lost), (bert, lost), (carl, old)):
        await world.owner.execute("UPDATE persons SET phone = $2 WHERE id = $1", person, personal.seal(ring, "13800138000"))
    ctx = replace(world.context(), settings=keyed(f"{NEW},{OLD}"))
    assert await reseal_due(ctx, limit=1) == 1
    assert personal.open_sealed(keyed(NEW), await world.value(f"SELECT phone FROM persons WHERE id = {carl}")) == "13800138000"
    for _ in range(2):
        with pytest.raises(personal.SealBrokenError, match="no longer in the ring"):
            await reseal_due(ctx, limit=1)
    told = await world.owner.fetch("SELECT subject_id, data->>'count' FROM audit_entries WHERE action = 'personal.resealed'")
    assert [tuple(one) for one in told] == [(carl, "1")]


def test_changing_the_cipher_keeps_old_values_readable_and_asks_to_seal_them_again():
    aes = personal.seal(keyed(NEW), "13800138000")
    sm4 = keyed(NEW, "sm4-gcm")
    assert personal.open_sealed(sm4, aes) == "13800138000"
    assert reseal_needed(sm4, aes)
    assert not reseal_needed(sm4, personal.seal(sm4, "13800138000"))


def test_a_value_without_its_key_is_refused_without_telling_anything():
    sealed = personal.seal(keyed(OLD), "13800138000")
    with pytest.raises(personal.SealBrokenError, match="no longer in the ring") as refused:
        personal.open_sealed(keyed(NEW), sealed)
    assert "1111" not in str(refused.value)


@pytest.mark.parametrize("cipher", ["aes-256-gcm", "sm4-gcm"])
def test_every_changed_byte_of_a_sealed_value_is_noticed(cipher):
    settings = keyed(NEW, cipher)
    sealed = personal.seal(settings, "13800138000")
    for position in range(len(sealed)):
        broken = bytearray(sealed)
        broken[position] ^= 1
        with pytest.raises(personal.SealBrokenError):
            personal.open_sealed(settings, bytes(broken))


def test_a_cut_or_foreign_value_is_refused_cleanly():
    settings = keyed(NEW)
    sealed = personal.seal(settings, "13800138000")
    for length in range(len(sealed)):
        with pytest.raises(personal.SealBrokenError):
            personal.open_sealed(settings, sealed[:length])
    with pytest.raises(personal.SealBrokenError, match="not a sealed value"):
        personal.open_sealed(settings, b"13800138000")


def test_sm4_is_the_one_of_the_standard():
    # GB/T 32907-2016, appendix A, example 1.
    key = plain = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encryptor = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()
    assert (encryptor.update(plain) + encryptor.finalize()).hex() == "681edf34d206965e86b3e94f536e4246"


def test_sm4_gcm_is_the_one_of_the_standard():
    # RFC 8998, appendix A.1.
    encryptor = Cipher(
        algorithms.SM4(bytes.fromhex("0123456789abcdeffedcba9876543210")), modes.GCM(bytes.fromhex("00001234567800000000abcd")),
    ).encryptor()
    encryptor.authenticate_additional_data(bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
    plain = "".join(byte * 8 for byte in ("aa", "bb", "cc", "dd", "ee", "ff", "ee", "aa"))
    sealed = encryptor.update(bytes.fromhex(plain)) + encryptor.finalize()
    assert sealed.hex() == (
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    )
    assert encryptor.tag.hex() == "83de3541e4c2b58177e065a9bf7b62ec"


def test_aes_gcm_is_the_one_of_the_standard():
    # The GCM specification (McGrew, Viega), test case 14: 256-bit zero key, zero nonce, one zero block.
    encryptor = Cipher(algorithms.AES(bytes(32)), modes.GCM(bytes(12))).encryptor()
    sealed = encryptor.update(bytes(16)) + encryptor.finalize()
    assert sealed.hex() == "cea7403d4d606b6e074ec5d3baf39d18"
    assert encryptor.tag.hex() == "d0d1c8a799996bf0265b98b5d48ab919"


@pytest.mark.parametrize("keys", ["", "nokey", "k1:" + "0" * 63, f"{OLD},", f"{OLD},{OLD}", "k1:" + "g" * 64, ":" + "0" * 64])
def test_a_key_ring_that_cannot_be_read_is_refused_without_printing_it(keys):
    with pytest.raises(ValidationError, match="must be <id>"):
        keyed(keys)
    with pytest.raises(ValueError, match="PERSONAL_KEYS must be") as refused:
        personal.key_ring(keyed(OLD).model_copy(update={"personal_keys": SecretStr(keys)}))
    assert not keys or keys not in str(refused.value)


def test_a_blind_index_finds_equal_values_however_they_are_written():
    settings = keyed(NEW)
    expected = personal.blind_index(settings, "13800138000")
    assert len(expected) == 32
    for written in ("138 0013 8000", "138-0013-8000", "+8613800138000", "008613800138000", "１３８００１３８０００"):
        assert personal.blind_index(settings, written) == expected
    assert personal.blind_index(settings, "13800138001") != expected
    assert personal.blind_index(keyed(NEW, index_key="another"), "13800138000") != expected
    # The index survives a change of the sealing keys: it has a key of its own.
    assert personal.blind_index(keyed(OLD, "sm4-gcm"), "13800138000") == expected
    assert personal.blind_index(settings, "37010219900101123x") == personal.blind_index(settings, "37010219900101123X")


def test_masks_show_enough_to_recognise_and_too_little_to_use():
    assert personal.mask_phone("13812341234") == "138****1234"
    assert personal.mask_phone("88881") == "****81"
    assert personal.mask_phone("110") == "****"
    assert personal.mask_name("张三") == "张*"
    assert personal.mask_name("张三丰") == "张**"
    assert personal.mask_name("张") == "*"
    assert personal.mask_id_number("370102199001011234") == "3701**********1234"
    assert personal.mask_id_number("1234567") == "****"
    assert personal.mask_account("6222020000008888") == "****8888"
    assert personal.mask_account("888") == "****"


def test_every_sealed_or_indexed_column_is_registered_as_what_it_is():
    sealed = {
        (table._meta.db_table, name, Kept.SEALED if isinstance(field, Sealed) else Kept.INDEX)
        for table in tables() for name, field in table._meta.fields_map.items() if isinstance(field, Sealed | BlindIndex)
    }
    assert sealed == {(entry.table, entry.column, entry.kept) for entry in REGISTRY if entry.kept is not Kept.PLAIN}


def test_every_registered_column_exists_once():
    columns = {(table._meta.db_table, name) for table in tables() for name in table._meta.fields_map}
    registered = [(entry.table, entry.column) for entry in REGISTRY]
    assert set(registered) <= columns
    assert len(set(registered)) == len(registered)


def test_no_column_that_looks_personal_escapes_the_registry():
    registered = {(entry.table, entry.column) for entry in REGISTRY}
    looking = {
        (table._meta.db_table, name) for table in tables() for name in table._meta.fields_map if LOOKS_PERSONAL.search(name)
    } | {("persons", name) for table in tables() if table._meta.db_table == "persons" for name in table._meta.fields_map}
    assert looking - registered == {("persons", "id"), ("persons", "created_at"), ("persons", "closed_at")}


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: f"{entry.table}.{entry.column}")
def test_every_registered_column_says_why_and_how_long(entry: PersonalColumn):
    assert re.search(r"[一-鿿]{4}", entry.purpose)
    assert entry.basis.startswith("第（")
    assert entry.ends
    assert 0 <= entry.days <= 3650
