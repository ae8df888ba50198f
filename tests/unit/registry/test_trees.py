"""Nobody is above itself, and parents come first."""

from services.registry.trees import LEVELS_MAX, makes_cycle, parents_first


def test_a_parent_that_is_below_makes_a_circle() -> None:
    above = {"b": "c", "c": "a"}
    assert makes_cycle("a", "b", above.get)
    assert makes_cycle("a", "a", above.get)
    assert not makes_cycle("x", "b", {"b": "c"}.get)
    assert not makes_cycle("a", None, above.get)


def test_a_chain_without_end_counts_as_a_circle() -> None:
    chain = {str(level): str(level + 1) for level in range(LEVELS_MAX + 1)}
    assert makes_cycle("x", "0", chain.get)
    assert not makes_cycle("x", "3", chain.get)


def test_parents_come_first_whatever_the_order() -> None:
    above = {"leaf": "branch", "branch": "root", "root": "elsewhere", "a": "b", "b": "a", "c": "a"}
    for rows in (list(above), list(reversed(above)), sorted(above)):
        ordered = parents_first(rows, lambda row: row, lambda row: above[row])
        assert ordered == ["root", "branch", "leaf", "a", "b", "c"]
