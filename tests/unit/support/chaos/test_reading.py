"""What supervisord's log says of processes that ended is read."""

from pathlib import Path

from tests.support.chaos.reading import read_ended

LOG = """\
2026-11-24 19:23:28,263 CRIT Supervisor is running as root.
2026-11-24 19:24:21,109 WARN exited: hours-processor (terminated by SIGKILL; not expected)
2026-11-24 19:24:25,898 WARN exited: hours-processor (terminated by SIGKILL; not expected)
2026-11-24 19:24:55,128 WARN exited: registry-processor (exit status 75; not expected)
2026-11-24 19:29:01,809 WARN received SIGTERM indicating exit request
2026-11-24 19:29:06,644 WARN stopped: assessment-relay (exit status 75)
"""


def test_every_end_that_was_not_in_order_is_counted_by_process_and_manner(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text(LOG)
    assert read_ended(log) == {
        "hours-processor terminated by SIGKILL": 2,
        "registry-processor exit status 75": 1,
        "assessment-relay exit status 75": 1,
    }
