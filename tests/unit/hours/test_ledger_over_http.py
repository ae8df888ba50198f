"""The ledger as its readers see it: events through the engine, answers over HTTP."""

from typing import Any

import pytest

from services.contracts.hours import EntryPosted, NoticeRaised
from services.hours import wiring
from services.hours.ledger import store as ledger
from services.runtime.pages import to_cursor
from tests.support.asgi import Answer, call
from tests.support.attendance import at, checked_in, checked_out, session, timed_out
from tests.support.parked import waits
from tests.support.ports import make_ports
from tests.support.processing import Processing
from tests.support.tokens import bearer, http_settings


@pytest.fixture
async def hours() -> Processing:
    return await Processing(wiring).prepare()


async def get(hours: Processing, path: str, *, area: str = "3408", scope: str = "hours.read") -> Answer:
    """A read by somebody of an area."""
    app = wiring.build_api(make_ports(hours.store), http_settings())
    return await call(app, "GET", path, headers=bearer(scope, area=area))


async def serve(
    hours: Processing, number: int = 1, *, volunteer: str = "v1", grade: int = 2, first: int = 9
) -> list[Any]:
    """One whole attendance of two hours."""
    facts = session(at(first), at(first + 2), number=number)
    return await hours.take(
        checked_in(at(first), facts, volunteer=volunteer, grade=grade),
        checked_out(at(first + 2), facts, volunteer=volunteer, grade=grade),
    )


async def test_check_out_reaches_the_balance_and_is_announced(hours: Processing) -> None:
    (event,) = await serve(hours)
    assert isinstance(event.data, EntryPosted)
    assert event.sequence == "000000000001"
    account = (await get(hours, "/v1/accounts/v1")).json
    assert (account["minutes"], account["by_grade"]["grade_2"], account["entries"]) == (120, 120, 1)
    assert account["chain_head"] == event.data.chain_hash


async def test_open_attendance_is_shown_as_pending(hours: Processing) -> None:
    await hours.take(checked_in(at(9, 30), session()))
    account = (await get(hours, "/v1/accounts/v1")).json
    (pending,) = account["pending"]
    assert (account["minutes"], pending["surely_minutes"], pending["at_most_minutes"]) == (0, 0, 90)


async def test_missed_check_out_is_settled_with_a_notice(hours: Processing) -> None:
    await hours.take(checked_in(at(9), session()))
    entry, notice = await hours.take(timed_out(session()))
    assert (entry.data.kind, entry.data.minutes) == ("settlement", 0)
    assert isinstance(notice.data, NoticeRaised)
    assert (await get(hours, "/v1/accounts/v1")).json["pending"] == []


async def test_overlap_in_one_batch_and_in_two_batches_gives_the_same_account(hours: Processing) -> None:
    first, second = session(), session(at(10), at(12), number=2)
    events = [
        checked_in(at(9), first, grade=1),
        checked_out(at(11), first, grade=1),
        checked_in(at(10), second, grade=2),
        checked_out(at(12), second, grade=2),
    ]
    await hours.take(*events)
    other = await Processing(wiring).prepare()
    for event in events:
        await other.take(event)
    assert hours.store.documents(ledger.ENTRIES) == other.store.documents(ledger.ENTRIES)
    assert hours.store.documents(ledger.MONTHS) == other.store.documents(ledger.MONTHS)
    assert (await get(hours, "/v1/accounts/v1")).json["by_grade"] == {
        "grade_0": 0,
        "grade_1": 60,
        "grade_2": 120,
        "grade_3": 0,
    }


async def test_entries_come_in_pages_in_the_order_of_the_chain(hours: Processing) -> None:
    for number in range(1, 6):
        await serve(hours, number, first=2 * number)
    first = (await get(hours, "/v1/accounts/v1/entries?limit=2")).json
    second = (await get(hours, f"/v1/accounts/v1/entries?limit=2&after={first['next']}")).json
    third = (await get(hours, f"/v1/accounts/v1/entries?limit=2&after={second['next']}")).json
    numbers = [[row["chain_number"] for row in page["items"]] for page in (first, second, third)]
    assert numbers == [[1, 2], [3, 4], [5]]
    assert third["next"] is None
    assert (await get(hours, "/v1/accounts/v1/entries?month=2026-06")).json["items"] == []


async def test_verification_holds_and_names_the_first_forged_entry(hours: Processing) -> None:
    await serve(hours)
    await serve(hours, 2, first=13)
    assert (await get(hours, "/v1/accounts/v1/verification")).json["holds"]
    forged = min(hours.store.documents(ledger.ENTRIES).values(), key=lambda entry: entry["chain_number"])
    hours.store.put(ledger.ENTRIES, {**forged, "minutes": 119})
    seen = (await get(hours, "/v1/accounts/v1/verification")).json
    assert (seen["holds"], seen["first_misfit"]) == (False, forged["_id"])


async def test_verification_sees_a_balance_that_was_edited(hours: Processing) -> None:
    await serve(hours)
    document = hours.store.documents(ledger.ACCOUNTS)["v1"]
    account = ledger.account_of(document)
    assert account is not None
    account.minutes = [0, 0, 999, 0]
    hours.store.put(ledger.ACCOUNTS, {**document, **ledger.account_fields(account)})
    assert (await get(hours, "/v1/accounts/v1/verification")).json["holds"] is False


async def test_verification_sees_a_missing_last_entry(hours: Processing) -> None:
    await serve(hours)
    (only,) = hours.store.documents(ledger.ENTRIES)
    hours.store.remove(ledger.ENTRIES, only)
    assert (await get(hours, "/v1/accounts/v1/verification")).json["holds"] is False


async def test_unit_month_is_the_sum_of_its_lanes_and_of_its_accounts(hours: Processing) -> None:
    for number in range(1, 9):
        await serve(hours, number, volunteer=f"v{number}", grade=number % 4)
    month = (await get(hours, "/v1/units/340802/months/2026-07")).json
    assert (month["minutes"], month["entries"]) == (8 * 120, 8)
    assert month["by_grade"] == {f"grade_{grade}": 240 for grade in range(4)}
    assert len(hours.store.documents(ledger.LANES)) > 1
    balances = (await get(hours, "/v1/accounts?unit=340802")).json["items"]
    assert sum(balance["minutes"] for balance in balances) == month["minutes"]
    assert (await get(hours, "/v1/totals?month=2026-07")).json == [month]
    assert (await get(hours, "/v1/units/340803/months/2026-07")).json["minutes"] == 0


async def test_balances_of_an_area_come_in_pages_across_units(hours: Processing) -> None:
    for number, unit in enumerate(["340803", "340802", "340811", "340802", "350100"]):
        facts = session(number=number)
        await hours.take(checked_in(at(9), facts, volunteer=f"v{number}", home_unit=unit))
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await get(hours, f"/v1/accounts?limit=1{after and f'&after={after}'}")).json
        seen += [row["volunteer_id"] for row in page["items"]]
        after = page["next"]
    assert seen == ["v1", "v3", "v0", "v2"]


@pytest.mark.parametrize(
    ("path", "area", "status", "code"),
    [
        ("/v1/accounts/nobody", "3408", 404, "account_unknown"),
        ("/v1/accounts/v1", "340803", 403, "outside_area"),
        ("/v1/accounts/v1/entries", "340803", 403, "outside_area"),
        ("/v1/accounts/v1/verification", "340803", 403, "outside_area"),
        ("/v1/accounts?unit=340802", "340803", 403, "outside_area"),
        ("/v1/units/340802/months/2026-07", "340803", 403, "outside_area"),
        ("/v1/units/340802/months/2026-13", "3408", 422, "invalid_parameter"),
        ("/v1/totals?month=July", "3408", 422, "invalid_parameter"),
        ("/v1/accounts?after=x", "3408", 400, "cursor_invalid"),
        (f"/v1/accounts?after={to_cursor(('350100', ''))}", "3408", 400, "cursor_invalid"),
        (f"/v1/accounts?unit=340802&after={to_cursor(('340803', ''))}", "3408", 400, "cursor_invalid"),
        (f"/v1/accounts?after={to_cursor((7,))}", "3408", 400, "cursor_invalid"),
        (f"/v1/accounts/v1/entries?after={to_cursor(('340802', 'v1'))}", "3408", 400, "cursor_invalid"),
    ],
)
async def test_read_is_refused(hours: Processing, path: str, area: str, status: int, code: str) -> None:
    await serve(hours)
    answer = await get(hours, path, area=area)
    assert (answer.status, answer.code) == (status, code)


async def test_read_without_the_scope_is_refused(hours: Processing) -> None:
    assert (await get(hours, "/v1/accounts/v1", scope="activities.read")).code == "scope_missing"


async def test_check_out_without_a_check_in_is_parked_and_the_persons_later_records_wait(hours: Processing) -> None:
    await hours.take(checked_out(at(11), session()))
    await serve(hours, 2, first=13)
    await serve(hours, 3, volunteer="v2")
    assert await waits(hours.store) == (3, 1, 240)
    assert (await get(hours, "/v1/accounts/v1")).code == "account_unknown"
    assert (await get(hours, "/v1/accounts/v2")).json["minutes"] == 120


async def test_volunteers_read_their_own_account_and_nobody_elses(hours: Processing) -> None:
    await serve(hours)
    await serve(hours, 2, volunteer="v2")
    app = wiring.build_api(make_ports(hours.store), http_settings())
    mine = bearer("hours.read", area="own", subject="v1")
    assert (await call(app, "GET", "/v1/accounts/v1", headers=mine)).json["minutes"] == 120
    assert (await call(app, "GET", "/v1/accounts/v1/entries", headers=mine)).status == 200
    assert (await call(app, "GET", "/v1/accounts/v2", headers=mine)).code == "outside_area"
    assert (await call(app, "GET", "/v1/accounts", headers=mine)).json["items"] == []
    assert (await call(app, "GET", "/v1/totals?month=2026-07", headers=mine)).json == []
