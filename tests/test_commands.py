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
