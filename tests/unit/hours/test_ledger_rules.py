"""The ledger's rules: what each attendance event posts."""

import msgspec
import pytest

from services.contracts.event import BrokenPromiseError
from services.contracts.ids import UnitCode
from services.contracts.registry import VolunteerRegistered
from services.eventing.facts import derived_id
from services.eventing.times import to_text
from services.hours.crediting.rules import minute_of
from services.hours.ledger.entries import GENESIS, chained, first_misfit
from services.hours.ledger.rules import apply_to_account
from tests.support.attendance import at, checked_in, checked_out, envelope, session, timed_out
from tests.support.ledger import Book


def served(book: Book, facts: object = None, *, grade: int = 2, name: str = "c", came: int = 9, left: int = 11) -> Book:
    """One whole attendance."""
    of = facts if facts is not None else session()
    book.take(envelope(checked_in(at(came), of, grade=grade), identity=f"{name}-in"))  # type: ignore[arg-type]
    book.take(envelope(checked_out(at(left), of, grade=grade), identity=f"{name}-out"))  # type: ignore[arg-type]
    return book


def test_check_in_alone_posts_nothing_and_is_pending() -> None:
    book = Book()
    book.take(envelope(checked_in(at(9, 5), session()), identity="in"))
    assert book.account is not None
    assert book.postings == []
    assert list(book.account.open) == ["s1-v1"]
    assert book.account.next_due == minute_of(at(35))


def test_check_out_credits_the_clipped_interval() -> None:
    book = Book()
    book.take(envelope(checked_in(at(8, 50), session()), identity="in"))
    change = book.take(envelope(checked_out(at(10, 30, second=59), session()), identity="out", time=at(10, 31)))
    (posting,) = change.postings
    entry = posting.entry
    assert (entry.minutes, entry.grade, entry.kind, entry.state) == (90, 2, "credit", "settled")
    assert (entry.service_date, entry.booking_month) == ("2026-07-14", "2026-07")
    assert entry.entry_id == derived_id("out", "credit-1", 0)
    assert entry.lane == "340802|activities.attendance|3"
    assert entry.recorded_at == to_text(at(10, 31))
    assert posting.chain_hash == chained(GENESIS, entry)
    assert book.account is not None
    assert book.account.open == {}
    assert book.account.next_due is None


def test_grade_is_the_weaker_ends() -> None:
    book = Book()
    book.take(envelope(checked_in(at(9), session(), grade=3), identity="in"))
    book.take(envelope(checked_out(at(11), session(), grade=1), identity="out"))
    assert book.balance() == [0, 120, 0, 0]


def test_session_over_midnight_posts_one_entry_a_date() -> None:
    night = session(at(23), at(25))
    book = Book()
    book.take(envelope(checked_in(at(23), night), identity="in"))
    book.take(envelope(checked_out(at(25), night), identity="out"))
    assert [(p.entry.service_date, p.entry.minutes) for p in book.postings] == [("2026-07-14", 60), ("2026-07-15", 60)]


def test_overlap_with_a_better_grade_reverses_and_posts_again() -> None:
    book = served(Book(), grade=1)
    other = session(at(10), at(12), number=2)
    served(book, other, grade=2, name="d", came=10, left=12)
    assert [(p.entry.kind, p.entry.minutes, p.entry.grade) for p in book.postings] == [
        ("credit", 120, 1),
        ("reversal", -120, 1),
        ("credit", 60, 1),
        ("credit", 120, 2),
    ]
    assert book.postings[1].entry.reverses == book.postings[0].entry.entry_id
    assert book.balance() == [0, 60, 120, 0]
    assert book.chain_holds()


def test_overlap_with_an_equal_grade_leaves_the_earlier_entry_alone() -> None:
    book = served(Book())
    served(book, session(at(10), at(12), number=2), name="d", came=10, left=12)
    assert [(p.entry.kind, p.entry.minutes) for p in book.postings] == [("credit", 120), ("credit", 60)]


def test_missed_check_out_settles_at_the_lower_bound_and_says_so() -> None:
    book = Book()
    book.take(envelope(checked_in(at(9), session()), identity="in"))
    change = book.take(envelope(timed_out(session()), identity="timer", time=at(35)))
    assert change.settled is not None
    assert (change.settled.entry.kind, change.settled.entry.minutes) == ("settlement", 0)
    assert book.balance() == [0, 0, 0, 0]
    assert book.account is not None
    assert book.account.open == {}


def test_late_check_out_reverses_the_settlement() -> None:
    book = Book()
    book.take(envelope(checked_in(at(9), session()), identity="in"))
    book.take(envelope(timed_out(session()), identity="timer", time=at(35)))
    book.take(envelope(checked_out(at(11), session()), identity="out", time=at(60)))
    assert [(p.entry.kind, p.entry.minutes) for p in book.postings] == [
        ("settlement", 0),
        ("reversal", 0),
        ("credit", 120),
    ]
    assert book.balance() == [0, 0, 120, 0]
    assert book.chain_holds()


def test_time_out_after_the_check_out_changes_nothing() -> None:
    book = served(Book())
    assert book.take(envelope(timed_out(session()), identity="timer")).postings == ()


def test_time_out_that_a_rebuild_reads_first_is_remembered() -> None:
    book = Book()
    book.take(envelope(timed_out(session()), identity="timer"))
    book.take(envelope(checked_in(at(9), session()), identity="in"))
    assert [p.entry.kind for p in book.postings] == ["settlement"]
    assert book.account is not None
    assert book.account.early_timeouts == {}


def test_recorded_at_never_goes_back() -> None:
    book = served(Book())
    other = session(at(13), at(14), number=2)
    book.take(envelope(checked_in(at(13), other), identity="in2", time=at(8)))
    book.take(envelope(checked_out(at(14), other), identity="out2", time=at(8)))
    first, second = (posting.entry.recorded_at for posting in book.postings)
    assert second == first[:-2] + "1Z"


def test_registration_names_the_home_unit_and_an_attendance_does_not_overwrite_it() -> None:
    book = Book()
    book.take(envelope(checked_in(at(9), session(), home_unit="340811"), identity="in"))
    assert book.account is not None
    assert book.account.home_unit == "340811"
    book.take(envelope(registered("340803"), identity="reg"))
    book.take(envelope(checked_in(at(9), session(number=2), home_unit="340811"), identity="in2"))
    assert book.account.home_unit == "340803"


def registered(unit: str) -> VolunteerRegistered:
    """A volunteer's registration."""
    return msgspec.convert(
        {
            "volunteer_id": "v1",
            "number": "V1",
            "home_unit": UnitCode(unit),
            "retired_cadre": True,
            "age_band": "60s",
            "channel": "online",
            "registered_on": "2026-01-01",
            "state": "active",
            "teams": [],
        },
        VolunteerRegistered,
    )


def test_check_out_without_check_in_is_a_broken_promise() -> None:
    with pytest.raises(BrokenPromiseError):
        Book().take(envelope(checked_out(at(11), session()), identity="out"))


def test_second_check_in_of_an_attendance_is_a_broken_promise() -> None:
    book = Book()
    book.take(envelope(checked_in(at(9), session()), identity="in"))
    with pytest.raises(BrokenPromiseError):
        book.take(envelope(checked_in(at(9), session()), identity="in-again"))


@pytest.mark.parametrize("facts", [session(at(11), at(9)), session(at(9), at(34))])
def test_session_that_lasts_no_time_or_over_a_day_is_a_broken_promise(facts: object) -> None:
    with pytest.raises(BrokenPromiseError):
        Book().take(envelope(checked_in(at(9), facts), identity="in"))  # type: ignore[arg-type]


def test_deciding_changes_nothing() -> None:
    book = served(Book())
    before = msgspec.json.encode((book.account, book.days))
    with pytest.raises(BrokenPromiseError):
        book.take(envelope(checked_out(at(11), session()), identity="again"))
    assert msgspec.json.encode((book.account, book.days)) == before


def test_a_gap_in_the_chain_is_not_applied() -> None:
    book = served(Book())
    assert book.account is not None
    other = session(at(13), at(14), number=2)
    book.take(envelope(checked_in(at(13), other), identity="in2"))
    change = book.take(envelope(checked_out(at(14), other), identity="out2"))
    with pytest.raises(AssertionError):
        apply_to_account(book.account, change)


def test_verification_names_the_first_entry_that_does_not_fit() -> None:
    book = served(Book())
    served(book, session(at(13), at(14), number=2), name="d", came=13, left=14)
    pairs = [(posting.entry, posting.chain_hash) for posting in book.postings]
    forged = msgspec.structs.replace(pairs[0][0], minutes=119)
    assert first_misfit(pairs) is None
    assert first_misfit([(forged, pairs[0][1]), pairs[1]]) == pairs[0][0].entry_id
    assert first_misfit(pairs[1:]) == pairs[1][0].entry_id
