"""Laws of presence, for all histories of one person at one session."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.activities.attendance.rules import (
    Attend,
    Attendance,
    CheckIn,
    CheckOut,
    Command,
    Decision,
    Situation,
    decide,
    evolve,
)
from services.activities.people.rules import Volunteer
from services.activities.proofs.rules import Claim, Entry
from services.contracts.activities import CheckedIn, CheckedOut
from services.contracts.ids import ActorId
from services.runtime.outcomes import Refusal
from tests.support.activities import SECRET, a_session, a_volunteer

SESSION = a_session()
START, END = SESSION.facts.starts_at, SESSION.facts.ends_at
GRACE, SKEW = timedelta(minutes=15), timedelta(minutes=5)
ENTRY = Entry(entered_by=ActorId("leader-1"), mode="live")

MOMENTS = st.integers(-30, 180).map(lambda minutes: START + timedelta(minutes=minutes))
CLAIMS = st.sampled_from([Claim("leader_list"), Claim("personal_card", "N-1"), Claim("personal_card", "N-2"), None])
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(CheckIn, at=MOMENTS, claim=CLAIMS, entry=st.just(ENTRY)),
    st.builds(CheckOut, at=MOMENTS, claim=CLAIMS, entry=st.just(ENTRY)),
    st.builds(Attend, came_at=MOMENTS, left_at=MOMENTS, claim=CLAIMS, entry=st.just(ENTRY)),
)
VOLUNTEERS = st.sampled_from([a_volunteer(), a_volunteer(state="paused")])
STEPS = st.lists(st.tuples(COMMANDS, VOLUNTEERS, MOMENTS), max_size=12)


def holds(claim: Claim | None) -> bool:
    return claim is not None and claim.text != "N-2"


def in_time(moment: datetime, now: datetime) -> bool:
    return START - GRACE <= moment <= END + GRACE and moment <= now + SKEW


def should_be_accepted(
    command: Command, state: tuple[datetime | None, datetime | None], active: bool, now: datetime
) -> bool:
    """The specification, said once more and differently."""
    came, left = state
    match command:
        case CheckIn():
            return came is None and active and in_time(command.at, now) and holds(command.claim)
        case CheckOut():
            if came is None or left is not None:
                return False
            return command.at > came and in_time(command.at, now) and holds(command.claim)
        case Attend():
            times = in_time(command.came_at, now) and in_time(command.left_at, now)
            return came is None and active and command.left_at > command.came_at and times and holds(command.claim)


@given(STEPS)
def test_a_history_is_accepted_exactly_as_the_specification_says(
    steps: list[tuple[Command, Volunteer, datetime]],
) -> None:
    attendance: Attendance | None = None
    came: datetime | None = None
    left: datetime | None = None
    for command, volunteer, now in steps:
        situation = Situation(
            session=SESSION, volunteer=volunteer, within_area=True, attendance=attendance, slip_spent_on=None
        )
        decision = decide(command, situation, now=now, secret=SECRET)
        expected = should_be_accepted(command, (came, left), volunteer.state == "active", now)
        assert isinstance(decision, Decision) is expected, (command, decision)
        if isinstance(decision, Refusal):
            continue
        came = next((event.at for event in decision.events if isinstance(event, CheckedIn)), came)
        left = next((event.at for event in decision.events if isinstance(event, CheckedOut)), left)
        attendance = decision.attendance
        assert attendance.check_in.at == came
        assert (attendance.check_out.at if attendance.check_out else None) == left


@given(STEPS)
def test_what_holds_is_what_was_announced(steps: list[tuple[Command, Volunteer, datetime]]) -> None:
    """The state after any history is its events, folded; there are at most two, in their order."""
    attendance: Attendance | None = None
    folded: Attendance | None = None
    events: list[CheckedIn | CheckedOut] = []
    for command, volunteer, now in steps:
        situation = Situation(
            session=SESSION, volunteer=volunteer, within_area=True, attendance=attendance, slip_spent_on=None
        )
        decision = decide(command, situation, now=now, secret=SECRET)
        if isinstance(decision, Decision):
            attendance = decision.attendance
            for event in decision.events:
                folded = evolve(folded, event, accepted_at=now)
                events.append(event)
    assert folded == attendance
    assert [type(event) for event in events] in ([], [CheckedIn], [CheckedIn, CheckedOut])
    assert len({event.attendance_id for event in events}) <= 1


@given(MOMENTS, MOMENTS, CLAIMS, MOMENTS)
def test_attended_is_accepted_exactly_if_check_in_and_check_out_are(
    came_at: datetime, left_at: datetime, claim: Claim | None, now: datetime
) -> None:
    nobody = Situation(session=SESSION, volunteer=a_volunteer(), within_area=True, attendance=None, slip_spent_on=None)
    whole = decide(Attend(came_at=came_at, left_at=left_at, claim=claim, entry=ENTRY), nobody, now=now, secret=SECRET)
    came = decide(CheckIn(at=came_at, claim=claim, entry=ENTRY), nobody, now=now, secret=SECRET)
    if isinstance(came, Refusal):
        assert isinstance(whole, Refusal)
        return
    there = Situation(
        session=SESSION,
        volunteer=a_volunteer(),
        within_area=True,
        attendance=came.attendance,
        slip_spent_on=None,
    )
    left = decide(CheckOut(at=left_at, claim=claim, entry=ENTRY), there, now=now, secret=SECRET)
    if isinstance(left, Refusal):
        assert isinstance(whole, Refusal)
        return
    assert isinstance(whole, Decision)
    assert whole.events == (*came.events, *left.events)
    assert whole.attendance == left.attendance
