"""Laws of crediting, for all histories of a person."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.event import Envelope
from services.hours.crediting.rules import Claim, attribute
from services.hours.ledger.entries import first_misfit
from tests.support.attendance import at, checked_in, checked_out, envelope, session
from tests.support.ledger import Book

MINUTES = st.integers(0, 240)
CLAIMS = st.lists(st.tuples(MINUTES, st.integers(0, 90), st.integers(0, 3)), min_size=1, max_size=6).map(
    lambda rows: [Claim(f"a{n}", start, start + length, grade) for n, (start, length, grade) in enumerate(rows)]
)


@given(CLAIMS)
def test_attribution_adds_up_to_the_union(claims: list[Claim]) -> None:
    union = {minute for claim in claims for minute in range(claim.start, claim.end)}
    credited = attribute(claims)
    assert sum(credited) == len(union)
    assert all(0 <= minutes <= claim.end - claim.start for minutes, claim in zip(credited, claims, strict=True))


@given(CLAIMS, st.randoms(use_true_random=False))
def test_attribution_does_not_depend_on_the_order_of_arrival(claims: list[Claim], random: Any) -> None:
    shuffled = random.sample(claims, len(claims))
    assert dict(zip(shuffled, attribute(shuffled), strict=True)) == dict(zip(claims, attribute(claims), strict=True))


@given(CLAIMS)
def test_each_minute_goes_to_the_best_claim(claims: list[Claim]) -> None:
    plain = dict.fromkeys(range(len(claims)), 0)
    for minute in range(400):
        holders = [n for n, claim in enumerate(claims) if claim.start <= minute < claim.end]
        if holders:
            best = min(holders, key=lambda n: (-claims[n].grade, claims[n].start, claims[n].attendance_id))
            plain[best] += 1
    assert attribute(claims) == list(plain.values())


VISITS = st.lists(
    st.tuples(st.integers(6 * 60, 25 * 60), st.integers(1, 200), st.integers(-15, 30), st.integers(0, 3)), max_size=5
)


def history(visits: list[tuple[int, int, int, int]]) -> list[list[Envelope[Any]]]:
    """One check-in and check-out for each visit: when the session starts, how long, how late one comes, the grade."""
    pairs = []
    for number, (starts, length, late, grade) in enumerate(visits):
        facts = session(at(0, starts), at(0, starts + length), number=number)
        came = at(0, starts + late)
        left = max(came, at(0, starts + length + late // 2))
        pairs.append(
            [
                envelope(checked_in(came, facts, grade=grade), identity=f"in{number}"),
                envelope(checked_out(left, facts, grade=grade), identity=f"out{number}"),
            ]
        )
    return pairs


@given(VISITS, st.randoms(use_true_random=False))
def test_person_day_totals_do_not_depend_on_the_order_of_arrival(
    visits: list[tuple[int, int, int, int]], random: Any
) -> None:
    pairs = history(visits)
    shuffled = random.sample(pairs, len(pairs))
    one = Book().take_all(event for pair in pairs for event in pair)
    other = Book().take_all(event for pair in shuffled for event in pair)
    assert one.balance() == other.balance()
    assert one.by_attendance() == other.by_attendance()


@given(VISITS)
def test_entries_sum_to_the_balance_and_form_a_chain(visits: list[tuple[int, int, int, int]]) -> None:
    book = Book().take_all(event for pair in history(visits) for event in pair)
    sums = [sum(p.entry.minutes for p in book.postings if p.entry.grade == grade) for grade in range(4)]
    assert sums == book.balance()
    assert first_misfit((posting.entry, posting.chain_hash) for posting in book.postings) is None
    assert len(book.entries) == len(book.postings)


@given(VISITS)
def test_every_reversal_takes_back_one_entry_whole_and_once(visits: list[tuple[int, int, int, int]]) -> None:
    book = Book().take_all(event for pair in history(visits) for event in pair)
    reversals = [posting.entry for posting in book.postings if posting.entry.kind == "reversal"]
    taken = [entry.reverses for entry in reversals]
    assert len(taken) == len(set(taken))
    for entry in reversals:
        assert entry.reverses is not None
        original = book.entries[entry.reverses]
        assert (entry.minutes, entry.grade, entry.service_date) == (
            -original.minutes,
            original.grade,
            original.service_date,
        )
