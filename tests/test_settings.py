"""Settings: names that stay, a reason for every value, and production that refuses what development is for."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from app import complaints
from settings import DEVELOPMENT_AES_KEY, DEVELOPMENT_KEY, DEVELOPMENT_SECRET, ROOT, Mode, Settings

STAY = (
    "DATABASE_URL", "REDIS_URL", "HOST", "PORT", "STORAGE_URL", "WECHAT_API_BASE_URL", "WECHAT_APPID", "WECHAT_SECRET",
    "DINGTALK_API_BASE_URL", "DINGTALK_OAPI_BASE_URL",
)
SERIOUS = {
    "MODE": "production", "DATABASE_URL": "postgresql://app:x@db/qifuquan", "REDIS_URL": "redis://cache/0", "WECHAT_SECRET": "a" * 32,
    "DINGTALK_APPSECRET": "b" * 32, "BLIND_INDEX_KEY": "c" * 32, "PAYMENT_PEPPER": "d" * 32, "PERSONAL_KEYS": "k1:" + "ab" * 32,
    "SIGNING_KEY": "e" * 32, "PUBLIC_URL": "https://quan.example.cn",
    "WECHAT_OA_SECRET": "e" * 32, "WECHAT_OA_TOKEN": "f" * 32, "WECHAT_PUSH_TOKEN": "g" * 32,
    "DINGTALK_EVENT_TOKEN": "h" * 32, "DINGTALK_CARD_SECRET": "i" * 32, "WECHAT_OA_AES_KEY": "j" * 43, "WECHAT_PUSH_AES_KEY": "k" * 43,
    "DINGTALK_EVENT_AES_KEY": "l" * 43,
}
DEFAULTS = {  # environment name -> the development value that production refuses
    "WECHAT_SECRET": DEVELOPMENT_SECRET, "DINGTALK_APPSECRET": DEVELOPMENT_SECRET, "BLIND_INDEX_KEY": DEVELOPMENT_SECRET,
    "PAYMENT_PEPPER": DEVELOPMENT_SECRET, "SIGNING_KEY": DEVELOPMENT_SECRET,
    "PERSONAL_KEYS": DEVELOPMENT_KEY, "WECHAT_OA_SECRET": DEVELOPMENT_SECRET,
    "WECHAT_OA_TOKEN": DEVELOPMENT_SECRET, "WECHAT_PUSH_TOKEN": DEVELOPMENT_SECRET, "DINGTALK_EVENT_TOKEN": DEVELOPMENT_SECRET,
    "DINGTALK_CARD_SECRET": DEVELOPMENT_SECRET, "WECHAT_OA_AES_KEY": DEVELOPMENT_AES_KEY, "WECHAT_PUSH_AES_KEY": DEVELOPMENT_AES_KEY,
    "DINGTALK_EVENT_AES_KEY": DEVELOPMENT_AES_KEY,
}


@pytest.fixture
def environment(monkeypatch):
    """An environment without any of our names; the value sets some of them and reads the settings."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)

    def read(**values: str) -> Settings:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return Settings(_env_file=None)

    return read


def complaint(read, **values: str) -> str:
    with pytest.raises(ValidationError) as refused:
        read(**values)
    return str(refused.value)


def test_the_names_that_others_rely_on_are_there():
    assert [name for name in STAY if name.lower() not in Settings.model_fields] == []


def test_development_starts_without_any_setting_on_port_8080(environment):
    found = environment()
    assert (found.mode, found.host, found.port) == (Mode.DEVELOPMENT, "127.0.0.1", 8080)
    assert found.database_url is found.redis_url is found.storage_url is None


def test_every_name_is_read_from_the_environment(environment):
    found = environment(DATABASE_URL="postgresql://u@h/d", REDIS_URL="redis://h/1", HOST="0.0.0.0", PORT="9000", STORAGE_URL="s3://b/p",
                        WECHAT_API_BASE_URL="http://w", WECHAT_APPID="wx1", WECHAT_SECRET="s", DINGTALK_API_BASE_URL="http://d",
                        DINGTALK_OAPI_BASE_URL="http://o")
    assert found.database_url == SecretStr("postgresql://u@h/d")
    assert (found.redis_url, found.wechat_secret) == (SecretStr("redis://h/1"), SecretStr("s"))
    assert (found.host, found.port, found.storage_url, found.wechat_appid) == ("0.0.0.0", 9000, "s3://b/p", "wx1")
    assert (found.wechat_api_base_url, found.dingtalk_api_base_url, found.dingtalk_oapi_base_url) == ("http://w", "http://d", "http://o")


def test_settings_are_read_from_a_file_and_the_environment_wins(environment, tmp_path: Path, monkeypatch):
    written = tmp_path / ".env"
    written.write_text("PORT=9001\nHOST=10.0.0.1\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "9002")
    found = Settings(_env_file=written)
    assert (found.host, found.port) == ("10.0.0.1", 9002)


@pytest.mark.parametrize(("host", "url"), [
    ("127.0.0.1", "http://127.0.0.1:18080"), ("0.0.0.0", "http://127.0.0.1:18080"), ("::", "http://[::1]:18080"),
    ("10.0.0.7", "http://10.0.0.7:18080"),
])
def test_links_follow_the_host_and_the_port_unless_they_are_given(environment, host, url):
    found = environment(HOST=host, PORT="18080")
    assert (found.public_url, found.local_url) == (url, url)
    found = environment(HOST=host, PORT="18080", PUBLIC_URL="https://quan.example.cn")
    assert (found.public_url, found.local_url) == ("https://quan.example.cn", url)


def test_production_wants_to_be_told_its_address(environment):
    assert "PUBLIC_URL is not https" in complaint(environment, **SERIOUS | {"PUBLIC_URL": ""})


def test_who_is_told_to_end_has_the_time_that_its_requests_have(environment):
    assert [environment(DRAIN_SECONDS=each).stop_seconds for each in ("0.5", "10", "40")] == [15, 15, 45]


def test_a_name_in_the_file_that_no_setting_has_is_refused(environment, tmp_path: Path):
    """The environment has names of others; the file is ours."""
    written = tmp_path / ".env"
    written.write_text("DATABSE_URL=postgresql://u:s3cret@h/d\nPORT=9001\n", encoding="utf-8")
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=written)
    assert list(complaints(refused.value)) == ["DATABSE_URL: there is no such setting. Is DATABASE_URL meant?"]


def test_a_file_that_is_also_the_environment_may_have_names_of_others(environment, tmp_path: Path, monkeypatch):
    written = tmp_path / ".env"
    written.write_text("AWS_REGION=cn-north-1\nPORT=9001\n", encoding="utf-8")
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    assert Settings(_env_file=written).port == 9001
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(ValidationError):
        Settings(_env_file=written)


def test_an_empty_variable_is_an_unset_one(environment):
    assert environment(DATABASE_URL="", PORT="").port == 8080


# --- production ---------------------------------------------------------------------------------------------------------


def test_production_starts_with_servers_secrets_and_https(environment):
    assert environment(**SERIOUS).mode is Mode.PRODUCTION


@pytest.mark.parametrize("name", DEFAULTS)
def test_production_refuses_a_default_secret_whether_set_or_left_out(environment, monkeypatch, name):
    assert f"{name} is the development default" in complaint(environment, **SERIOUS | {name: DEFAULTS[name]})
    monkeypatch.delenv(name)
    assert f"{name} is the development default" in complaint(environment)


@pytest.mark.parametrize("ring", [
    f"{DEVELOPMENT_KEY},k2:{'ab' * 32}", f"k2:{'ab' * 32}, {DEVELOPMENT_KEY}", f"k1:{'00' * 32}", f"k2:{'ab' * 32},k1:{'00' * 32}",
])
def test_production_refuses_a_ring_with_a_key_that_everybody_knows(environment, ring):
    said = complaint(environment, **SERIOUS | {"PERSONAL_KEYS": ring})
    assert "PERSONAL_KEYS contains a key of zeros" in said
    assert "ab" * 32 not in said


@pytest.mark.parametrize("name", [name for name, value in DEFAULTS.items() if value == DEVELOPMENT_SECRET])
def test_production_refuses_a_secret_that_is_found_by_trying(environment, name):
    assert f"{name} has fewer than 16 characters." in complaint(environment, **SERIOUS | {name: "x" * 15})
    assert environment(**SERIOUS | {name: "x" * 16}).mode is Mode.PRODUCTION


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_production_refuses_embedded_servers(environment, name):
    assert f"{name} is not set" in complaint(environment, **SERIOUS | {name: ""})


@pytest.mark.parametrize("name", ["WECHAT_API_BASE_URL", "DINGTALK_API_BASE_URL", "DINGTALK_OAPI_BASE_URL", "PUBLIC_URL"])
def test_production_refuses_the_simulator_and_whatever_is_not_https(environment, name):
    assert f"{name} is not https" in complaint(environment, **SERIOUS | {name: "http://127.0.0.1:8090/wechat"})


def test_production_refuses_a_clock_that_can_be_moved_and_links_to_an_unreleased_version(environment):
    said = complaint(environment, **SERIOUS | {"CLOCK_FILE": "var/clock", "WECHAT_MINIPROGRAM_STATE": "trial"})
    assert "CLOCK_FILE moves the time" in said
    assert "WECHAT_MINIPROGRAM_STATE is not formal" in said


def test_production_names_everything_that_is_wrong_at_once(environment):
    said = complaint(environment, MODE="production")
    wrong = [*DEFAULTS, "DATABASE_URL", "REDIS_URL", "PUBLIC_URL"]
    assert [name for name in wrong if sum(line.strip().startswith(f"{name} is ") for line in said.splitlines()) != 1] == []


def test_a_refused_start_tells_no_secret(environment):
    said = complaint(environment, **SERIOUS | {"PUBLIC_URL": "http://x", "WECHAT_SECRET": "hush-hush"})
    assert "PUBLIC_URL" in said
    assert "hush-hush" not in said
    assert "app:x@" not in said


@pytest.mark.parametrize("name", ["DATABASE_URL", "PORT", "PERSONAL_CIPHER"])
def test_a_mistyped_value_is_not_shown(environment, name):
    assert "p4ssw0rd" not in complaint(environment, **{name: "postgresql:/u:p4ssw0rd@h/d"})


def test_a_process_of_production_really_stops(environment, tmp_path: Path):
    """The whole way: the command line with production's mode and nothing else ends before it has opened anything."""
    clean = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    ended = subprocess.run(
        [sys.executable, "-m", "app", "web"], cwd=tmp_path,
        env={**clean, "MODE": "production", "VAR_DIR": str(tmp_path / "var"), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert ended.returncode != 0
    assert "production refuses to start" in ended.stderr
    assert not (tmp_path / "var").exists()


# --- values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [
    ("MODE", "staging"), ("PORT", "65536"), ("PORT", "-1"), ("PORT", "http"), ("WEB_PROCESSES", "0"), ("WEB_PROCESSES", "65"),
    ("DATABASE_POOL_MAX", "1"), ("PERSONAL_CIPHER", "des"), ("WECHAT_MINIPROGRAM_STATE", "beta"), ("SWEEP_SECONDS", "0"),
    ("SWEEP_SECONDS", "soon"), ("WECHAT_TEMPLATE_IDS", "[]"), ("TRUST_FORWARDED_FOR", "perhaps"), ("SESSION_DAYS", "0"),
    ("STATEMENT_TIMEOUT_MS", "0"), ("LOCK_TIMEOUT_MS", "-5"), ("IDLE_IN_TRANSACTION_TIMEOUT_MS", "0"), ("BODY_MAX_BYTES", "0"),
    ("HEADER_TIMEOUT_SECONDS", "0"), ("BODY_TIMEOUT_SECONDS", "0"), ("DRAIN_SECONDS", "-1"), ("NOTICE_WORKERS", "0"),
    ("NOTICE_RETRY_HOURS", "0"), ("PLATFORM_TIMEOUT_SECONDS", "0"), ("PAYMENT_HASH_MEMORY_KIB", "1"), ("PAYMENT_HASH_PASSES", "0"),
    ("DATABASE_URL", "mysql://h/d"), ("REDIS_URL", "http://h"), ("STORAGE_URL", "ftp://h/p"), ("PUBLIC_URL", "quan.example.cn"),
    ("WECHAT_API_BASE_URL", "api.weixin.qq.com"), ("HEADER_TIMEOUT_SECONDS", "nan"), ("SWEEP_SECONDS", "inf"),
])
def test_a_value_that_cannot_work_is_refused_before_anything_starts(environment, name, value):
    assert name.lower() in complaint(environment, **{name: value})


ENCODED = "Within a password / ? # : @ are written %2F %3F %23 %3A %40"


@pytest.mark.parametrize(("name", "value", "what"), [
    ("DATABASE_URL", "postgresql://u:S3cret/pw@host/db", f"has a port that is no number from 1 to 65535. {ENCODED}"),
    ("DATABASE_URL", "postgresql://u:12/S3cret@host/db", f"has an @ behind its host. {ENCODED}"),
    ("DATABASE_URL", "postgresql://u:12?S3cret=a@host/db", f"has an @ behind its host. {ENCODED}"),
    ("DATABASE_URL", "postgresql://u:S3cret@pw@host/db", "has two @"),
    ("DATABASE_URL", "postgresql://u:S3cret[@host/db", "cannot be read as a URL"),
    ("DATABASE_URL", "postgresql://u:S3cret@host:99999/db", "has a port that is no number"),
    ("DATABASE_URL", "postgresql://u:S3cret@h1:5432,h2:x/db", "has a port that is no number"),
    ("DATABASE_URL", "postgresql://u:S3cret@host/db?sslmode=verify", "has a sslmode that is none of disable, allow"),
    ("DATABASE_URL", "postgresql://u:S3cret@host/db?sslmode", "has something behind the ? that is no name=value"),
    ("DATABASE_URL", "postgresql://u:S3cret@host/db?port=x", "has a port that is no number"),
    ("DATABASE_URL", "postgresql://u:S3cret@host/db#sslmode=require", "has a #"),
    ("REDIS_URL", "redis://:S3cret@host:port/0", "has a port that is no number"),
    ("REDIS_URL", "redis://:S3cret@host/zero", "ends in something that is no number of a database"),
    ("REDIS_URL", "redis://", "has no host"), ("SMTP_URL", "smtps://u:S3cret@mx:smtp", "has a port that is no number"),
    ("PUBLIC_URL", "https://", "has no host"), ("HOST", "http://0.0.0.0", "must be one address or name"),
    ("HOST", "0.0.0.0:8080", "must be one address or name"), ("PERSONAL_KEYS", "k1:S3cret", "must be <id>:<64 hex>"),
    ("PERSONAL_KEYS", f"k1:{'ab' * 32},k1:{'cd' * 32}", "must be <id>:<64 hex>"), ("PORT", "S3cret", "Input should be a valid integer"),
    ("PERSONAL_CIPHER", "S3cret", "Input should be 'aes-256-gcm' or 'sm4-gcm'"),
    ("WECHAT_TEMPLATE_IDS", "S3cret", "must be JSON"),
])
def test_a_mistake_is_one_line_with_its_name_what_is_wrong_and_an_example(environment, name, value, what):
    with pytest.raises((ValidationError, SettingsError)) as refused:
        environment(**{name: value})
    [line] = complaints(refused.value)
    assert line.startswith(f"{name}: {what}")
    assert f" Example: {name}=" in line or name == "PERSONAL_CIPHER"
    assert "S3cret" not in line
    assert "pw" not in line


@pytest.mark.parametrize(("name", "value"), [
    ("DATABASE_URL", "postgresql://u%40x:p%2Fw@h1:5432,h2:5433/d?target_session_attrs=read-write&sslmode=require"),
    ("DATABASE_URL", "postgres://u@[::1]:5432/d"), ("DATABASE_URL", "postgresql:///d?host=/run/postgresql&user=u"),
    ("REDIS_URL", "unix:///run/valkey.sock?db=1"), ("REDIS_URL", "rediss://:p%40w@h:6380/15"), ("REDIS_URL", "redis://h"),
    ("STORAGE_URL", "file:///srv/files"), ("STORAGE_URL", "s3://bucket/pre@fix"), ("HOST", "::"), ("HOST", "::1"), ("HOST", "0.0.0.0"),
    ("HOST", "localhost"), ("PERSONAL_KEYS", f"k2:{'ab' * 32}, k1:{'cd' * 32}"),
])
def test_what_the_clients_understand_is_taken(environment, name, value):
    found = getattr(environment(**{name: value}), name.lower())
    assert (found.get_secret_value() if isinstance(found, SecretStr) else found) == value


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_OWNER_URL"])
def test_a_parameter_of_a_database_url_that_nobody_would_look_at_is_refused(environment, name):
    said = complaint(environment, **{name: "postgresql://u@h/d?sslmod=verify-full&sslrootcert=/ca.pem"})
    assert f"{name.lower()}\n" in said
    assert "has unknown parameters: sslmod. Known are: database, dbname" in said
    assert "/ca.pem" not in said


def test_settings_do_not_change_while_the_system_runs(environment):
    with pytest.raises(ValidationError):
        environment().port = 1


def test_every_setting_says_why_its_value_is_what_it_is():
    assert without_reason((ROOT / "settings.py").read_text(encoding="utf-8"), "Settings") == []


def test_a_setting_without_a_comment_is_found():
    source = "class S:\n    # why\n    a: int = 1\n    b: int = 2\n\n    c: int = 3\n    d: int = 4  # because\n"
    assert without_reason(source, "S") == ["c"]


# Said by the name alone: addresses and identities that somebody else gives, and the two modes.
SELF_EVIDENT = {
    "mode", "port", "wechat_api_base_url", "wechat_appid", "wechat_secret", "dingtalk_api_base_url", "dingtalk_oapi_base_url",
    "dingtalk_appkey", "dingtalk_appsecret", "dingtalk_agent_id", "simulator_port",
}


def without_reason(source: str, name: str) -> list[str]:
    """Fields with no comment: on their line, above them, or above the group (lines without a gap) that they stand in."""
    lines = source.splitlines()
    body = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef) and node.name == name).body
    missing, explained = [], -1
    for node in body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        above = lines[node.lineno - 2].strip()
        own = "#" in lines[node.lineno - 1] or (above.startswith("#") and not above.startswith("# ---"))
        if own or explained == node.lineno - 1:
            explained = node.end_lineno or node.lineno
        elif node.target.id not in SELF_EVIDENT:
            missing.append(node.target.id)
    return missing


@pytest.mark.parametrize(("values", "problem"), [
    ({"SMTP_URL": "smtps://mx.example.cn"}, "MAIL_FROM is the development default"),
    ({"SMTP_URL": "smtp://mx.example.cn", "MAIL_FROM": "a@example.cn", "SMTP_STARTTLS": "off"}, "SMTP_STARTTLS is off"),
    ({"SMS_SECRET_ID": "AKID", "SMS_SECRET_KEY": DEVELOPMENT_SECRET}, "SMS_SECRET_KEY is the development default"),
    (
        {"SMS_SECRET_ID": "AKID", "SMS_SECRET_KEY": "e" * 32, "SMS_API_BASE_URL": "http://127.0.0.1:8090/sms"},
        "SMS_API_BASE_URL is not https",
    ),
])
def test_production_refuses_a_channel_that_is_on_by_half(environment, values, problem):
    assert problem in complaint(environment, **SERIOUS, **values)


def test_production_starts_without_mail_and_sms_and_with_both(environment):
    assert environment(**SERIOUS).smtp_url is None
    found = environment(SMTP_URL="smtps://robot:hunter2@mx.example.cn", MAIL_FROM="企服券 <no-reply@example.cn>", SMS_SECRET_ID="AKID",
                        SMS_SECRET_KEY="e" * 32)
    assert "hunter2" not in repr(found)
