"""Decides in the order of sending what the doors must accept, and with which code they must refuse the rest."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support.oracle.inputs import BatchSent, Inputs, LineSent, Session, Volunteer

GRACE = timedelta(minutes=15)
CLOCK_SKEW_MAX = timedelta(minutes=5)
STATION_CODE_STEP_S = 60
SLIP = "slip "
"""``slip 12`` stands for the code on a session's twelfth slip; anything else in its place is a wrong code."""
INDEPENDENT = {"station_code", "personal_card", "one_time_code", "served_confirmation"}
OUTSIDE = {"served", "other_organisation"}


@dataclass(frozen=True)
class Proof:
    """How presence was proved, by whom, on whose side."""

    method: str
    given_by: str
    side: str


@dataclass
class Attendance:
    """One person at one session, with the evidence grade of either end."""

    session: Session
    volunteer: Volunteer
    came_at: datetime
    came_grade: int
    left_at: datetime | None = None
    left_grade: int | None = None


@dataclass
class Outcome:
    """What all doors together must come to.

    ``refused``: by file, the refused rows with their codes. ``lines``: by door and place in its file, the code of the
    refusal or ``None``; ``not_sent`` where a clerk's proposal was refused, so that there is nothing to decide on.
    """

    attendances: dict[tuple[str, str], Attendance] = field(default_factory=dict)
    refused: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    lines: dict[tuple[str, int], str | None] = field(default_factory=dict)
    sign_ups: set[tuple[str, str]] = field(default_factory=set)


def grade_of(proofs: list[Proof], entered_by: str, approved_by: str | None, *, typed_in: bool) -> int:
    """The evidence grade of one end: 0 typed in, 1 one side's word, 2 an independent proof, 3 two, one from outside."""
    if typed_in:
        return 0
    independent = [
        proof for proof in proofs if proof.method in INDEPENDENT and proof.given_by not in (entered_by, approved_by)
    ]
    givers = {proof.given_by for proof in independent}
    if len(givers) >= 2 and any(proof.side in OUTSIDE for proof in independent):
        return 3
    return 2 if independent else 1


class Doors:
    """Lives all sendings of a history through."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._slips: dict[tuple[str, str], str] = {}
        self._proposals: dict[str, tuple[dict[str, Any], str]] = {}
        self._places: dict[str, int] = {}
        self._receipts: set[bytes] = set()
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """All sendings, one after the other."""
        for sending in self._inputs.sendings:
            if isinstance(sending, BatchSent):
                self._batch(sending)
            elif sending.door == "live":
                self.outcome.lines[sending.door, sending.index] = self._live(sending)
            else:
                self.outcome.lines[sending.door, sending.index] = self._back_office(sending)
        return self.outcome

    # Batches

    def _batch(self, sending: BatchSent) -> None:
        """The same bytes are the same batch: what comes again changes nothing."""
        raw = (self._inputs.directory / sending.file).read_bytes()
        if raw in self._receipts:
            return
        self._receipts.add(raw)
        body = self._inputs.batch(sending.file)
        refused = []
        for row in body["rows"]:
            if body["kind"] == "kiosk":
                code = self._kiosk_row(row, body["device_id"], sending.at)
            else:
                code = self._roster_row(row, body["leader_id"], sending.at)
            if code is not None:
                refused.append((row["row"], code))
        self.outcome.refused[sending.file] = refused

    def _kiosk_row(self, row: dict[str, Any], device: str, now: datetime) -> str | None:
        at = datetime.fromisoformat(row["at"])
        if row["action"] == "check_in":
            return self._check_in(row["session_id"], row["number"], at, row["proof"], device, now)
        return self._check_out(row["session_id"], row["number"], at, row["proof"], device, now)

    def _roster_row(self, row: dict[str, Any], leader: str, now: datetime) -> str | None:
        proof = row["proof"] or {"method": "leader_list"}
        came_at, left_at = datetime.fromisoformat(row["from"]), datetime.fromisoformat(row["to"])
        return self._attended(row["session_id"], row["number"], came_at, left_at, proof, leader, now)

    # Live commands

    def _live(self, sending: LineSent) -> str | None:
        line = sending.line
        session, number, now = line["session_id"], line["actor"]["number"], sending.at
        if line["command"] == "sign_up":
            return self._sign_up(session, number, now)
        at = now if line["claimed_at"] is None else datetime.fromisoformat(line["claimed_at"])
        if line["command"] == "check_in":
            return self._check_in(session, number, at, line["proof"], number, now)
        return self._check_out(session, number, at, line["proof"], number, now)

    def _sign_up(self, session_number: str, number: str, now: datetime) -> str | None:
        session = self._session(session_number, now)
        if session is None:
            return "session_unknown"
        if not session.published:
            return "session_not_published"
        if now >= session.ends_at:
            return "session_closed"
        if self._volunteer(number, now) is None:
            return "volunteer_unknown"
        if (session_number, number) in self.outcome.sign_ups:
            return "already_signed_up"
        for other_number, who in self.outcome.sign_ups:
            other = self._inputs.sessions[other_number]
            if who == number and other.starts_at < session.ends_at and session.starts_at < other.ends_at:
                return "overlapping_sign_up"
        if self._places.get(session_number, 0) >= session.capacity:
            return "session_full"
        self._places[session_number] = self._places.get(session_number, 0) + 1
        self.outcome.sign_ups.add((session_number, number))
        return None

    # Back office

    def _back_office(self, sending: LineSent) -> str | None:
        line = sending.line
        if line["command"] == "propose":
            code = self._typed_in(line, None, sending.at)
            if code is None:
                self._proposals[line["proposal"]] = (line, "proposed")
            return code
        if line["proposal"] not in self._proposals:
            return "not_sent"
        proposal, state = self._proposals[line["proposal"]]
        if state != "proposed":
            return "proposal_decided"
        if proposal["actor"]["id"] == line["actor"]["id"]:
            return "second_person_required"
        code = self._typed_in(proposal, line["actor"]["id"], sending.at)
        if code is None:
            self._proposals[line["proposal"]] = (proposal, "approved")
        return code

    def _typed_in(self, line: dict[str, Any], approved_by: str | None, now: datetime) -> str | None:
        came_at, left_at = datetime.fromisoformat(line["from"]), datetime.fromisoformat(line["to"])
        code = self._refuse_attended(line["session_id"], line["number"], came_at, left_at, now)
        if code is None and approved_by is not None:
            session, volunteer = self._inputs.sessions[line["session_id"]], self._inputs.volunteers[line["number"]]
            attendance = Attendance(session, volunteer, came_at, 0, left_at, 0)
            self.outcome.attendances[line["session_id"], line["number"]] = attendance
        return code

    # Presence

    def _check_in(
        self, session_number: str, number: str, at: datetime, proof: dict[str, Any] | None, by: str, now: datetime
    ) -> str | None:
        code = self._refuse_place_and_person(session_number, number, now)
        if code is not None:
            return code
        if (session_number, number) in self.outcome.attendances:
            return "already_checked_in"
        session, volunteer = self._inputs.sessions[session_number], self._inputs.volunteers[number]
        code = _refuse_time(session, at, now) or self._refuse_proof(session, volunteer, proof, at, now)
        if code is None:
            grade = grade_of([_proof(session, volunteer, proof, by)], by, None, typed_in=False)
            self.outcome.attendances[session_number, number] = Attendance(session, volunteer, at, grade)
        return code

    def _check_out(
        self, session_number: str, number: str, at: datetime, proof: dict[str, Any] | None, by: str, now: datetime
    ) -> str | None:
        code = self._refuse_place_and_person(session_number, number, now)
        if code is not None:
            return code
        attendance = self.outcome.attendances.get((session_number, number))
        if attendance is None:
            return "not_checked_in"
        if attendance.left_at is not None:
            return "already_checked_out"
        if at <= attendance.came_at:
            return "check_out_before_check_in"
        session, volunteer = attendance.session, attendance.volunteer
        code = _refuse_time(session, at, now) or self._refuse_proof(session, volunteer, proof, at, now)
        if code is None:
            attendance.left_at = at
            attendance.left_grade = grade_of([_proof(session, volunteer, proof, by)], by, None, typed_in=False)
        return code

    def _attended(
        self,
        session_number: str,
        number: str,
        came_at: datetime,
        left_at: datetime,
        proof: dict[str, Any],
        by: str,
        now: datetime,
    ) -> str | None:
        code = self._refuse_attended(session_number, number, came_at, left_at, now)
        if code is not None:
            return code
        session, volunteer = self._inputs.sessions[session_number], self._inputs.volunteers[number]
        code = self._refuse_proof(session, volunteer, proof, came_at, now)
        if code is None:
            grade = grade_of([_proof(session, volunteer, proof, by)], by, None, typed_in=False)
            attendance = Attendance(session, volunteer, came_at, grade, left_at, grade)
            self.outcome.attendances[session_number, number] = attendance
        return code

    def _refuse_attended(
        self, session_number: str, number: str, came_at: datetime, left_at: datetime, now: datetime
    ) -> str | None:
        code = self._refuse_place_and_person(session_number, number, now)
        if code is not None:
            return code
        if left_at <= came_at:
            return "check_out_before_check_in"
        if (session_number, number) in self.outcome.attendances:
            return "already_checked_in"
        session = self._inputs.sessions[session_number]
        return _refuse_time(session, came_at, now) or _refuse_time(session, left_at, now)

    def _refuse_place_and_person(self, session_number: str, number: str, now: datetime) -> str | None:
        session = self._session(session_number, now)
        if session is None:
            return "session_unknown"
        if not session.published:
            return "session_not_published"
        return "volunteer_unknown" if self._volunteer(number, now) is None else None

    def _session(self, number: str, now: datetime) -> Session | None:
        session = self._inputs.sessions.get(number)
        return session if session is not None and session.sent_at <= now else None

    def _volunteer(self, number: str, now: datetime) -> Volunteer | None:
        volunteer = self._inputs.volunteers.get(number)
        return volunteer if volunteer is not None and volunteer.sent_at <= now else None

    def _refuse_proof(
        self, session: Session, volunteer: Volunteer, proof: dict[str, Any] | None, at: datetime, now: datetime
    ) -> str | None:
        if proof is None:
            return "proof_missing"
        if proof["method"] == "personal_card":
            return None if proof["card"] == volunteer.number else "card_invalid"
        if proof["method"] == "station_code":
            shown = not proof["mistyped"] and proof["station_id"] == session.station
            return None if shown and abs(_step(at) - _step(now)) <= 1 else "code_invalid"
        if proof["method"] == "one_time_code":
            if not proof["code"].startswith(SLIP):
                return "code_invalid"
            spent_on = self._slips.setdefault((session.number, proof["code"]), volunteer.number)
            return None if spent_on == volunteer.number else "code_already_used"
        return None  # somebody's word needs no check


def _refuse_time(session: Session, at: datetime, now: datetime) -> str | None:
    if at < session.starts_at - GRACE:
        return "time_before_window"
    if at > session.ends_at + GRACE:
        return "time_after_window"
    if at > now + CLOCK_SKEW_MAX:
        return "time_in_future"
    return None


def _step(at: datetime) -> int:
    """Which of a station's codes was on display: they change every minute, and one before or after passes as well."""
    return int(at.timestamp()) // STATION_CODE_STEP_S


def _proof(session: Session, volunteer: Volunteer, proof: dict[str, Any] | None, by: str) -> Proof:
    """Who gave a proof that was accepted. People are named by their number here, and by their id in the services."""
    assert proof is not None
    match proof["method"]:
        case "station_code":
            return Proof("station_code", session.station or "", "station")
        case "personal_card":
            return Proof("personal_card", volunteer.number, "volunteer")
        case "one_time_code":
            return Proof("one_time_code", f"code:{session.station or session.organiser}", "station")
        case "leader_list":
            return Proof("leader_list", by, "leader")
        case "self_report":
            return Proof("self_report", volunteer.number, "volunteer")
        case method:
            raise ValueError(f"a history has no proof of the method {method}")
