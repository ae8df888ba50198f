"""Processor time is read from the system."""

import os
import sys
import time

import pytest

from deploy.local.processor_time import cpu_seconds

NO_PROCESS = 2**22 + 1  # above the largest process id that Linux gives


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_our_own_time_is_what_python_says() -> None:
    assert cpu_seconds(os.getpid()) == pytest.approx(time.process_time(), abs=0.5)


def test_a_process_that_is_not_there_used_none() -> None:
    assert cpu_seconds(NO_PROCESS) == 0
