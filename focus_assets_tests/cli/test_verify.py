from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from focus_assets.commands.verify import BROKEN, command
from focus_assets_tests.orchestration.company import Company


def test_a_recipient_can_verify_a_delivery_and_sees_what_differs(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.usage_of_ten_days()
    company.run_and_deliver("2026-08-01", "2026-08-02")
    bucket = tmp_path / "bucket" / "everyone"

    whole = CliRunner().invoke(command, [str(bucket)])
    assert whole.exit_code == 0
    assert "2 files" in whole.output

    file = next(bucket.glob("billing_period=2026-08/2026-08-02-*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    broken = CliRunner().invoke(command, [str(bucket)])
    assert broken.exit_code == BROKEN
    assert file.name in broken.output
