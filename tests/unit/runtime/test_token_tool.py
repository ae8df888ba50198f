"""``make token``: a token on standard output, or one line that says what is wrong."""

from pathlib import Path

from typer.testing import CliRunner

from services.runtime.clock import SystemClock
from services.runtime.settings import HttpSettings
from services.runtime.token_tool import _tool
from services.runtime.tokens import Authenticator


async def test_it_prints_a_token_that_services_with_the_same_key_believe(tmp_path: Path) -> None:
    key_file = tmp_path / "key.pem"
    arguments = ["token", "--role", "clerk", "--area", "340802"]
    result = CliRunner().invoke(_tool, arguments, env={"JWT_DEVELOPMENT_KEY_FILE": str(key_file)})
    assert result.exit_code == 0, result.output
    settings = HttpSettings(jwt_development_key_file=key_file, environment="development")
    caller = await Authenticator(settings, SystemClock()).caller(f"Bearer {result.stdout.strip()}")
    assert (caller.subject, caller.area) == ("clerk-340802", "340802")


def test_it_refuses_roles_and_areas_that_do_not_exist(tmp_path: Path) -> None:
    key = ["--key-file", str(tmp_path / "key.pem")]
    for wrong in (["--role", "king"], ["--role", "clerk", "--area", "340"], ["--role", "clerk", "--hours", "0"]):
        assert CliRunner().invoke(_tool, ["token", *wrong, *key]).exit_code == 2
    assert not (tmp_path / "key.pem").exists()
