"""`python -m app ...` in processes of their own: what each command refuses, and in which words."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app import in_the_way
from models.database import place_of
from settings import ROOT, Settings
from tests.test_settings import SERIOUS


async def ran(*command: str, folder: Path = ROOT, **env: str) -> tuple[int, str]:
    """(exit code, everything that it wrote), with nothing of ours in the environment but what is given."""
    clean = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", *command, cwd=folder, env={**clean, "PYTHONPATH": str(ROOT), **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


# --- a database that must prove who it is -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority that has vouched for nobody."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


def elsewhere(url: str, *, user: str | None = None, password: str = "", place: str = "", database: str = "") -> str:
    """The same URL with some of it changed."""
    parts = urlsplit(url)
    there = place or parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user or parts.username}:{password or parts.password}@{there}", path=database or parts.path).geturl()


WRONG = {
    "password": ({"password": "S3cret"}, "password authentication failed"),
    "role": ({"user": "nobody", "password": "S3cret"}, "nobody"),
    "database": ({"database": "/nothing"}, "nothing"),
    "port": ({"place": "127.0.0.1:1", "password": "S3cret"}, "127.0.0.1:1"),
    "host": ({"place": "host.invalid", "password": "S3cret"}, "at=host.invalid:5432"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("command", ["web", "check-books", "migrate"])
async def test_a_database_that_has_no_connection_for_us_is_one_line_and_no_secret(
    command, wrong, database_urls, settings, tmp_path, unused_tcp_port
):
    change, named = WRONG[wrong]
    code, said = await ran(
        command, folder=tmp_path, DATABASE_URL=elsewhere(database_urls[0], **change), VAR_DIR=str(tmp_path), WEB_PROCESSES="1",
        REDIS_URL=settings.redis_url.get_secret_value(), PORT=str(unused_tcp_port),
    )
    assert (code, len(said.splitlines())) == (1, 1), said
    assert "database_unreachable" in said and named in said
    assert "S3cret" not in said and urlsplit(database_urls[0]).password not in said


@pytest.mark.parametrize(("url", "place"), [
    ("postgresql://u:S3cret@db.example.cn/q", "db.example.cn:5432"), ("postgresql://u@db.example.cn:6432/q", "db.example.cn:6432"),
    ("postgresql://u@[::1]/q", "[::1]:5432"), ("postgresql://u@a:1,b:2/q", "a:1,b:2"), ("postgresql://u@h/q?port=8", "h:8"),
    ("postgresql:///q?host=/run/postgresql&user=u&password=S3cret", "/run/postgresql"), ("postgresql:///q", "localhost:5432"),
])
def test_the_place_of_a_database_is_shown_with_its_port_and_without_who_connects(url, place):
    assert place_of(url, {}) == place


def test_the_place_of_a_database_is_completed_by_the_environment_as_the_driver_does():
    assert place_of("postgresql:///q", {"PGHOST": "db.example.cn", "PGPORT": "6432"}) == "db.example.cn:6432"
    assert place_of("postgresql://u@h:5433/q", {"PGHOST": "db.example.cn", "PGPORT": "6432"}) == "h:5433"


@pytest.mark.parametrize("command", ["web", "jobs", "check-books", "migrate"])
async def test_a_database_that_cannot_prove_who_it_is_is_refused_by_every_command(
    command, database_urls, settings, authority, tmp_path, unused_tcp_port
):
    """The embedded server speaks no TLS, so whoever connects has not asked for the certificate."""
    code, said = await ran(
        command, DATABASE_URL=f"{database_urls[1]}?sslmode=verify-full&sslrootcert={authority}", VAR_DIR=str(tmp_path),
        REDIS_URL=settings.redis_url.get_secret_value(), PORT=str(unused_tcp_port), WEB_PROCESSES="1",
    )
    assert code != 0
    assert "rejected SSL upgrade" in said


# --- what was done --------------------------------------------------------------------------------------------------------------


async def test_a_seed_says_what_it_made_and_the_second_that_nothing_is_new(database, database_urls, settings, tmp_path):
    env = {"DATABASE_URL": database_urls[1], "DATABASE_OWNER_URL": database_urls[0], "VAR_DIR": str(tmp_path),
           "REDIS_URL": settings.redis_url.get_secret_value()}
    assert await ran("migrate", folder=tmp_path, **env) == (0, "")
    for new in (25, 0):
        code, said = await ran("seed", folder=tmp_path, **env)
        assert (code, len(said.splitlines())) == (0, 1), said
        assert said.startswith("✓ 数据库中现有：项目 4（新增 ") and f"人员 25（新增 {new}）" in said


# --- a platform that is away ----------------------------------------------------------------------------------------------------


async def test_menus_that_could_not_be_compared_are_not_called_different(tmp_path):
    code, said = await ran("menus", folder=tmp_path, WECHAT_API_BASE_URL="http://127.0.0.1:1", VAR_DIR=str(tmp_path))
    assert code == 1
    assert said == "✗ 平台没有完成请求（unreachable ClientConnectorError），菜单未能核对，请稍后重试。\n"


# --- a folder of our own ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["web", "jobs", "migrate", "check-books", "seed", "run", "simulator"])
async def test_a_var_dir_that_cannot_be_made_is_a_line_and_no_traceback(command, tmp_path, unused_tcp_port):
    (tmp_path / "file").touch()
    code, said = await ran(command, folder=tmp_path, VAR_DIR=str(tmp_path / "file" / "var"), PORT=str(unused_tcp_port), WEB_PROCESSES="1")
    assert (code, len(said.splitlines())) == (2, 1), said
    assert said.startswith(f"VAR_DIR: {tmp_path / 'file'}") and "Not a directory" in said


async def test_a_folder_for_files_that_cannot_be_made_is_said_too(database_urls, settings, tmp_path):
    """With servers of one's own the folder is needed for attachments alone."""
    (tmp_path / "storage").touch()
    code, said = await ran(
        "admin", "13800138000", folder=tmp_path, DATABASE_URL=database_urls[1], VAR_DIR=str(tmp_path),
        REDIS_URL=settings.redis_url.get_secret_value(),
    )
    assert (code, said.splitlines()[-1].partition(". ")[0]) == (2, f"VAR_DIR: {tmp_path / 'storage'}: File exists")
    assert "Traceback" not in said


def test_an_error_about_another_file_is_not_put_on_our_folder():
    ours = Path("/srv/var")
    for path, found in (("/srv/var/postgres", True), ("/srv", True), ("/srv/variety", False), ("/etc/ca.pem", False), (None, False)):
        assert (in_the_way(OSError(13, "Permission denied", path), ours) is not None) is found


# --- production ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["seed", "simulator", "run"])
async def test_production_starts_nothing_that_is_for_development(command, tmp_path):
    code, said = await ran(command, **SERIOUS | {"VAR_DIR": str(tmp_path / "var")})
    assert (code, len(said.splitlines())) == (2, 1)
    assert said.startswith(f"`{command}` is for development: ")
    assert not (tmp_path / "var").exists()


# --- settings that cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["web", "jobs", "migrate", "check-books", "run", "openapi"])
async def test_a_mistyped_setting_is_a_line_and_no_traceback(command, tmp_path):
    code, said = await ran(command, folder=tmp_path, DATABASE_URL="postgresql://u:S3cret/pw@host/db", PORT="http")
    assert code == 2
    assert [line.partition(":")[0] for line in said.splitlines()] == ["DATABASE_URL", "PORT"]
    assert "S3cret" not in said


async def test_production_says_each_problem_on_a_line_of_its_own(tmp_path):
    code, said = await ran("web", folder=tmp_path, MODE="production")
    first, *problems = said.splitlines()
    assert (code, first) == (2, "production refuses to start")
    assert "PAYMENT_PEPPER is the development default." in problems
    assert all(line.endswith(".") and "Error" not in line for line in problems)


async def test_a_file_of_settings_that_is_no_text_is_named(tmp_path):
    (tmp_path / ".env").write_bytes("MAIL_FROM=企服券 <a@example.cn>\n".encode("gb18030"))
    code, said = await ran("web", folder=tmp_path)
    assert (code, said) == (2, f"{tmp_path / '.env'}: is no UTF-8 at byte 10. Save it as UTF-8.\n")


async def test_a_name_in_the_file_of_settings_that_is_none_is_refused(tmp_path):
    (tmp_path / ".env").write_text("DATABSE_URL=postgresql://u:S3cret@h/d\n", encoding="utf-8")
    code, said = await ran("web", folder=tmp_path)
    assert (code, said) == (2, "DATABSE_URL: there is no such setting. Is DATABASE_URL meant?\n")


async def test_who_may_not_migrate_is_told_which_setting_is_missing(database_urls, settings, tmp_path):
    code, said = await ran(
        "migrate", DATABASE_URL=database_urls[1], REDIS_URL=settings.redis_url.get_secret_value(), VAR_DIR=str(tmp_path)
    )
    assert (code, len(said.splitlines())) == (2, 1)
    assert said.startswith("DATABASE_URL: its role may not change the schema. Set DATABASE_OWNER_URL")
