"""Compares what the drained platform answers over HTTP with what the city's model says it must."""

import json
from collections import Counter
from fractions import Fraction
from typing import Any, Final

from services.contracts.assessment import SCORES
from tests.support.oracle.crediting import GRADES, Ledger
from tests.support.simulation.asking import OK
from tests.support.simulation.auditor import Auditor
from tests.support.simulation.city_clients import FEED_PAGE, CityClients
from tests.support.simulation.city_model import CityModel, by_grade
from tests.support.simulation.world import World

PERIODS: Final = ("2026-Q2", "2026-Q3", "2026-07")
QUARTERS: Final = ("2026-Q2", "2026-Q3")
"""Whose scores are announced: the open quarter's, and that before it."""
MONTHS: Final = ("2026-06", "2026-07")
PAGE: Final = 200
ZEROS: Final = [0] * GRADES


class CityChecks:
    """The questions that are asked at the end of a world."""

    def __init__(self, world: World, clients: CityClients, model: CityModel, ledger: Ledger) -> None:
        self._world = world
        self._clients = clients
        self._model = model
        self._ledger = ledger

    async def all_of_it(self, poisoned: set[str]) -> None:
        """Everything that can be asked; of a person whose history waits, only what must hold all the same."""
        for person in self._model.inputs.volunteers:
            volunteer_id = await self._clients.id_of(person)
            await self._verify(volunteer_id)
            await self._check_attendances(person, volunteer_id)
            if person not in poisoned:
                await self._check_account(person, volunteer_id)
                await self._check_copy(person, volunteer_id)
        for session, held in self._model.sign_ups.items():
            await self._check_sign_ups(session, held)
        if not poisoned:
            await self._check_totals()
            await self._check_scores()
            self._check_published()
            self._check_notices()
        for service in self._world.services:
            await self._check_feed(service)

    # single people

    async def _verify(self, volunteer_id: str) -> None:
        answer = await self._clients.ask("hours", "GET", f"/v1/accounts/{volunteer_id}/verification")
        if answer.status in OK and not answer.json["holds"]:
            self._fail("verification", answer.json)

    async def _check_account(self, person: str, volunteer_id: str) -> None:
        account = await self._clients.get("hours", f"/v1/accounts/{volunteer_id}")
        self._equal("balance", by_grade(account["by_grade"]), self._ledger.accounts.get(person, ZEROS), person)
        pending = {(each["session_id"], each["at_most_minutes"]) for each in account["pending"]}
        must = {(session, most) for (who, session), most in self._ledger.pending.items() if who == person}
        self._equal("pending", pending, must, person)
        served, present = await self._entries(volunteer_id)
        must_serve = {key[1:]: each for key, each in self._ledger.served.items() if key[0] == person and each}
        self._equal("entries", served, must_serve, person)
        self._equal("standing", present, {key[1:] for key in self._ledger.present if key[0] == person}, person)
        volunteer = await self._clients.get("registry", f"/v1/volunteers/{volunteer_id}")
        shown = volunteer["served"]["minutes_by_grade"]
        self._equal("shown_by_registry", shown, by_grade(account["by_grade"]), person)

    async def _check_copy(self, person: str, volunteer_id: str) -> None:
        """Activities knows of a volunteer what registry said last."""
        volunteer = await self._clients.get("registry", f"/v1/volunteers/{volunteer_id}")
        copy = self._world.stores["activities"].now_at_majority("volunteers").get(volunteer_id, {})
        fields = ("number", "home_unit", "state")
        self._equal(
            "copy", {name: copy.get(name) for name in fields}, {name: volunteer[name] for name in fields}, person
        )

    async def _entries(self, volunteer_id: str) -> tuple[dict[Any, int], set[Any]]:
        """Net minutes and the entries that stand, by session, service month and grade."""
        minutes: Counter[tuple[str, str, int]] = Counter()
        standing: Counter[tuple[str, str, int]] = Counter()
        page = await self._clients.get("hours", f"/v1/accounts/{volunteer_id}/entries?limit={PAGE}")
        for entry in page["items"]:
            key = (entry["session_id"], entry["service_date"][:7], entry["grade"])
            minutes[key] += entry["minutes"]
            standing[key] += -1 if entry["kind"] == "reversal" else 1
        present = {key for key, count in standing.items() if count > 0}
        return {key: each for key, each in minutes.items() if each}, present

    async def _check_attendances(self, person: str, volunteer_id: str) -> None:
        answer = await self._clients.ask("activities", "GET", f"/v1/volunteers/{volunteer_id}/attendances")
        items = answer.json["items"] if answer.status in OK else []
        shown = {(each["session_id"], each["check_out"] is not None) for each in items}
        must = {
            (a.session.number, a.left_at is not None) for a in self._model.attendances() if a.volunteer.number == person
        }
        self._equal("attendances", shown, must, person)

    async def _check_sign_ups(self, session: str, held: set[str]) -> None:
        page = await self._clients.get("activities", f"/v1/sessions/{session}/sign-ups?limit={PAGE}")
        ids = {await self._clients.id_of(person) for person in held}
        self._equal("sign_ups", {each["volunteer_id"] for each in page["items"]}, ids, session)
        shown = await self._clients.get("activities", f"/v1/sessions/{session}")
        self._equal("places_taken", shown["places_taken"], len(held), session)

    # sums

    async def _check_totals(self) -> None:
        for month in MONTHS:
            shown = await self._clients.get("hours", f"/v1/totals?month={month}")
            totals = {each["unit"]: by_grade(each["by_grade"]) for each in shown if each["minutes"]}
            must = {unit: each for (unit, of), each in self._ledger.unit_months.items() if of == month and any(each)}
            self._equal("totals", totals, must, month)

    async def _check_scores(self) -> None:
        for period in PERIODS:
            board = await self._clients.get("assessment", f"/v1/scoreboard?period={period}")
            scores = self._model.scores(self._ledger, period)
            shown = {row["unit"]: Fraction(row["points"]) for row in board["rows"]}
            self._equal("points", shown, {unit: score.points for unit, score in scores.items()}, period)
            for row in board["rows"]:
                values = {each["indicator"]: each["value"] for each in row["indicators"]}
                must = {name: _text(value) for name, value in scores[row["unit"]].values.items()}
                self._equal("indicators", {name: values[name] for name in must}, must, f"{row['unit']} {period}")

    def _check_published(self) -> None:
        """What was announced last of a unit's quarter is what it must score."""
        events = [e for (topic, _), stream in self._world.auditor.streams.items() if topic == SCORES for e in stream]
        announced = [json.loads(event.value)["data"] for event in events]
        last = {(each["unit"], each["period"]): Fraction(each["points"]) for each in announced}
        for period in QUARTERS:
            scores = self._model.scores(self._ledger, period)
            points = {unit: last.get((unit, period)) for unit in scores}
            self._equal("published_score", points, {unit: score.points for unit, score in scores.items()}, period)

    def _check_notices(self) -> None:
        """Every time-out that was settled has left one notice, and nothing else has."""
        entries = self._world.stores["hours"].now_at_majority("entries").values()
        settled = sorted((e["volunteer_id"], e["attendance_id"]) for e in entries if e["kind"] == "settlement")
        notices = self._world.stores["registry"].now_at_majority("notices").values()
        self._equal("notices", sorted((n["recipient_id"], n["attendance_id"]) for n in notices), settled, "notices")

    async def _check_feed(self, service: str) -> None:
        """The change feed holds every event of the service once, each key's in order."""
        seen: list[tuple[str, str, int]] = []
        cursor = ""
        while True:
            after = f"&after={cursor}" if cursor else ""
            page = await self._clients.get(service, f"/v1/changes?limit={FEED_PAGE}{after}")
            seen += [(each["id"], each["subject"], int(each["sequence"])) for each in page["items"]]
            if not page["items"]:
                break
            cursor = page["next"]
        followed = self._clients.followed.get(service, [])
        self._equal("feed_followed", followed, [each for each, _, _ in seen][: len(followed)], service)
        auditor: Auditor = self._world.auditor
        must = sorted(event.id for event in auditor.committed.values() if event.service == service)
        self._equal("feed", sorted(each for each, _, _ in seen), must, service)
        reached: Counter[tuple[str, str]] = Counter()
        for each, subject, sequence in seen:
            stream = (auditor.committed[each].topic, subject)
            if sequence != reached[stream] + 1:
                self._fail("feed_order", f"{service} {stream}: {sequence} after {reached[stream]}")
            reached[stream] = sequence

    # saying so

    def _equal(self, code: str, shown: Any, must: Any, what: str) -> None:
        if shown != must:
            self._fail(code, f"{what}: {shown}, must be {must}")

    def _fail(self, code: str, detail: Any) -> None:
        self._world.fail(code, detail if isinstance(detail, str) else json.dumps(detail))


def _text(value: Fraction | None) -> str | None:
    return None if value is None else f"{value.numerator}/{value.denominator}"
