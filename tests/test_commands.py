"""`python -m app ...` in processes of their own: what each command refuses, and in which words."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
