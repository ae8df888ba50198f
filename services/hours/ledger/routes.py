"""Offers the ledger over HTTP: accounts, entries, verification, unit months."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from services.contracts.ids import GRADES
from services.eventing.ports import Ports
from services.hours.ledger import reads
from services.hours.ledger.rules import Account
from services.hours.ledger.views import AccountView, Balance, ByGrade, EntryView, UnitMonth, Verification
from services.runtime.auth import Caller, must_cover, require
from services.runtime.http import get_ports
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import refusals, refused

router = APIRouter(tags=["ledger"])
Reader = Annotated[Caller, Depends(require("hours.read"))]
InPorts = Annotated[Ports, Depends(get_ports)]
VolunteerIdInPath = Annotated[str, Path(alias="volunteer_id", min_length=1, max_length=64)]
UNIT_PATTERN = r"^[0-9]{6}$"
MONTH_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
MonthInQuery = Annotated[str, Query(pattern=MONTH_PATTERN, description="A booking month, `YYYY-MM`.")]


async def visible_account(ports: Ports, caller: Caller, volunteer: str) -> Account:
    """An account that is the caller's own or in their area. Raises ``account_unknown`` or ``outside_area``."""
    account = await reads.get_account(ports.store, volunteer)
    if account is None:
        raise refused("account_unknown")
    if caller.subject != volunteer:
        must_cover(caller, account.home_unit)
    return account


@router.get("/v1/accounts", openapi_extra=refusals("outside_area"))
async def list_accounts(
    caller: Reader,
    ports: InPorts,
    page: Paging,
    unit: Annotated[str | None, Query(pattern=UNIT_PATTERN, description="Only volunteers of this home unit.")] = None,
) -> Page[Balance]:
    """The balances of an area, page by page."""
    if unit is not None:
        must_cover(caller, unit)
    rows = await reads.list_accounts(ports.store, caller.area, unit, page)
    return page_of(rows, page.limit, lambda row: Balance.of(*row), lambda row: (row[1].home_unit, row[0]))


@router.get("/v1/accounts/{volunteer_id}", openapi_extra=refusals("account_unknown", "outside_area"))
async def get_account(caller: Reader, ports: InPorts, volunteer_id: VolunteerIdInPath) -> AccountView:
    """One volunteer's account: balance by grade, what is pending, the head of the chain."""
    return AccountView.of(volunteer_id, await visible_account(ports, caller, volunteer_id))


@router.get("/v1/accounts/{volunteer_id}/entries", openapi_extra=refusals("account_unknown", "outside_area"))
async def list_entries(
    caller: Reader,
    ports: InPorts,
    page: Paging,
    volunteer_id: VolunteerIdInPath,
    month: Annotated[str | None, Query(pattern=MONTH_PATTERN, description="Only this booking month.")] = None,
) -> Page[EntryView]:
    """One volunteer's entries in the order they were posted."""
    await visible_account(ports, caller, volunteer_id)
    rows = await reads.list_entries(ports.store, volunteer_id, month, page)
    return page_of(rows, page.limit, EntryView.of, lambda row: (row["chain_number"],))


@router.get("/v1/accounts/{volunteer_id}/verification", openapi_extra=refusals("account_unknown", "outside_area"))
async def verify_account(caller: Reader, ports: InPorts, volunteer_id: VolunteerIdInPath) -> Verification:
    """Walks the account's hash chain and adds up its entries."""
    account = await visible_account(ports, caller, volunteer_id)
    return await reads.verify_account(ports.store, volunteer_id, account)


@router.get("/v1/units/{unit}/months/{month}", openapi_extra=refusals("outside_area"))
async def get_unit_month(
    caller: Reader,
    ports: InPorts,
    unit: Annotated[str, Path(pattern=UNIT_PATTERN)],
    month: Annotated[str, Path(pattern=MONTH_PATTERN)],
) -> UnitMonth:
    """What was credited to a unit's volunteers in one booking month."""
    must_cover(caller, unit)
    found = await reads.unit_months(ports.store, unit, month)
    empty = UnitMonth(unit=unit, month=month, minutes=0, by_grade=ByGrade.of([0] * GRADES), entries=0)
    return found[0] if found else empty


@router.get("/v1/totals")
async def list_totals(caller: Reader, ports: InPorts, month: MonthInQuery) -> list[UnitMonth]:
    """The booking month of every unit in the caller's area."""
    return await reads.unit_months(ports.store, caller.area, month)
