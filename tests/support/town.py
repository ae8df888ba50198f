"""Puts a small town into a running platform through its public doors: one unit, a station, a team, some volunteers."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from deploy.history.gateway_client import Gateway
from services.hours.crediting.rules import minute_of

UNIT = "340802"
CSV = "text/csv"
ACCEPTED = frozenset({200, 201})
WITHIN_S = 30.0
POLL_S = 0.05
UNITS = (
    "单位代码,代码体系,单位名称,上级代码,启用日期\n"
    "340800,own,市直,,2020-01-01\n"
    "340802,gbt2260,迎江区,340800,2020-01-01\n"
)
ROLL = "单位代码,统计日期,离退休干部人数\n340802,2020-12-31,100\n"
ORGANISATIONS = (
    "组织编号,类型,名称,单位代码,上级编号,成立日期\n"
    "ST-1,驿站,一号驿站,340802,,2021-04-01\n"
    "TM-1,团队,一队,340802,ST-1,2021-04-01\n"
)
VOLUNTEER_COLUMNS = (
    "志愿者编号,姓名,证件类型,证件号码,性别,出生日期,政治面貌,民族,手机号码,"
    "区域,详细地址,注册日期,招募渠道,离退休干部,团队编号"
)
ACTIVITY_COLUMNS = (
    "活动编号,场次编号,活动名称,组织编号,服务单位,驿站编号,品牌编号,服务类别,重点领域,开始时间,结束时间,人数上限,状态"
)


async def until(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool], *, within_s: float = WITHIN_S) -> Any:
    """Reads again until what was read holds; returns it. Fails with the last that was read."""
    deadline = asyncio.get_running_loop().time() + within_s
    seen = await read()
    while not holds(seen):
        assert asyncio.get_running_loop().time() < deadline, f"still after {within_s} s: {seen}"
        await asyncio.sleep(POLL_S)
        seen = await read()
    return seen


def identity_number(born: str, serial: int) -> str:
    """A well-formed citizen id number in an area that does not exist; an even serial is a woman's."""
    body = f"349901{born.replace('-', '')}{serial:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    remainder = sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11
    return body + "10X98765432"[remainder]


def volunteer_row(number: int) -> str:
    """One row of a volunteer list in the national columns: women, up to 499 born on one day of each year."""
    year, serial = divmod(number, 499)
    born = f"{1946 + year}-03-02"
    citizen = identity_number(born, 2 * serial)
    return (
        f"340802{number:06d},甄{'安康宁和平'[number % 5]},居民身份证,{citizen},2,{born},01,01,"
        f"154{number:08d},340802,迎江区晚晴路{number}号,2024-03-05,unit_recommendation,是,TM-1\n"
    )


@dataclass
class Town:
    """What the tests know of it; ``volunteers`` are ids by number."""

    gateway: Gateway
    volunteers: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: Any, *, key: str, token: str = "") -> httpx.Response:
        """A command with a JSON body."""
        return await self.gateway.post(path, key=key, content=json.dumps(body).encode(), token=token)

    async def accept(self, path: str, body: Any, *, key: str, token: str = "") -> Any:
        """The answer of a command that must be accepted."""
        answer = await self.post(path, body, key=key, token=token)
        assert answer.status_code in ACCEPTED, (path, answer.status_code, answer.text)
        return answer.json()

    async def load(self, path: str, text: str) -> None:
        """A list that must be taken whole."""
        answer = await self.gateway.post(path, key=f"load {hash(text)}", content=text.encode(), content_type=CSV)
        assert answer.status_code in ACCEPTED, (path, answer.status_code, answer.text)
        assert answer.json()["errors"] == [], answer.text

    async def found(self, people: int) -> "Town":
        """Registers unit, roll, station, team and people, and waits until activities knows them."""
        await self.load("/registry/v1/imports/units", UNITS)
        await self.load("/registry/v1/imports/roll", ROLL)
        await self.load("/registry/v1/imports/organisations", ORGANISATIONS)
        rows = "".join(volunteer_row(number) for number in range(1, people + 1))
        await self.load("/registry/v1/imports/volunteers", f"{VOLUNTEER_COLUMNS}\n{rows}")
        items = await self.gateway.pages("/registry/v1/volunteers", unit=UNIT, limit=200)
        self.volunteers = {item["number"]: item["volunteer_id"] for item in items}
        assert len(self.volunteers) >= people
        return self

    async def publish(self, session: str, starts_at: datetime, ends_at: datetime, capacity: int = 50) -> None:
        """A published session at the station; repeated until activities has heard of station and team."""
        text = (
            f"{ACTIVITY_COLUMNS}\n{session.replace('SE', 'AC')},{session},义诊,TM-1,{UNIT},ST-1,,health,health_care,"
            f"{starts_at.isoformat()},{ends_at.isoformat()},{capacity},已发布\n"
        )

        async def send() -> httpx.Response:
            key = f"publish {session} {asyncio.get_running_loop().time()}"
            path = "/activities/v1/imports/activities"
            return await self.gateway.post(path, key=key, content=text.encode(), content_type=CSV)

        await until(send, lambda answer: answer.status_code in ACCEPTED and not answer.json()["errors"])

    async def account(self, number: str) -> Any:
        """A volunteer's account, or none while hours has not heard of the volunteer."""
        try:
            return await self.gateway.get(f"/hours/v1/accounts/{self.volunteers[number]}")
        except Exception as error:
            if "account_unknown" in str(error):
                return None
            raise


def kiosk_batch(rows: Sequence[tuple[str, str, str, datetime]], device: str = "KIOSK-1") -> bytes:
    """A kiosk's batch of (session, volunteer number, action, moment), each with the personal card."""
    body = {
        "kind": "kiosk",
        "device_id": device,
        "rows": [
            {
                "row": row,
                "session_id": session,
                "number": number,
                "action": action,
                "at": moment.isoformat(),
                "proof": {"method": "personal_card", "card": number},
            }
            for row, (session, number, action, moment) in enumerate(rows, start=1)
        ],
    }
    return json.dumps(body).encode()


def now() -> datetime:
    """Real time, as the platform has it."""
    return datetime.now(UTC)


def whole_minutes(starts: datetime, ends: datetime) -> int:
    """What the ledger credits for an interval inside its session."""
    return minute_of(ends) - minute_of(starts)


HOUR = timedelta(hours=1)
