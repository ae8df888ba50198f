"""A process dies at the armed passing of the armed point, once."""

from pathlib import Path

import pytest

from deploy.local.servers import SERVICES
from tests.support.chaos.points import POINTS, Trap, arm, services_at, sprung, trap_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return trap_file(tmp_path, "hours-relay")


@pytest.fixture
def deaths() -> list[str]:
    return []


@pytest.fixture
def trap(file: Path, deaths: list[str]) -> Trap:
    return Trap(file, lambda: deaths.append("died"))


def test_nothing_happens_without_a_trap(trap: Trap, deaths: list[str]) -> None:
    trap.passed("marked")
    assert deaths == []


def test_it_dies_at_the_meant_passing_of_the_meant_point(file: Path, trap: Trap, deaths: list[str]) -> None:
    arm(file, "marked", 2)
    trap.passed("marked")
    trap.passed("published")
    assert deaths == []
    trap.passed("marked")
    assert deaths == ["died"]


def test_a_trap_is_gone_when_it_has_sprung_so_that_the_next_life_is_healthy(file: Path, trap: Trap) -> None:
    arm(file, "marked", 1)
    trap.passed("marked")
    assert not file.exists()
    assert sprung(file).exists()


def test_a_trap_that_is_set_again_counts_anew(file: Path, trap: Trap, deaths: list[str]) -> None:
    arm(file, "marked", 2)
    trap.passed("marked")
    trap.passed("marked")
    arm(file, "marked", 2)
    assert not sprung(file).exists()
    trap.passed("marked")
    assert deaths == ["died"]
    trap.passed("marked")
    assert deaths == ["died", "died"]


def test_every_point_is_passed_by_processes_of_this_platform() -> None:
    assert POINTS.keys() == {"api", "processor", "relay"}
    for kind, points in POINTS.items():
        for point in points:
            assert set(services_at(kind, point)) <= set(SERVICES)
            assert services_at(kind, point)
