"""Makes up what names a person, so that nobody real can be meant."""

import random
from datetime import date
from typing import Final

SURNAMES: Final = tuple(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任沈姚卢姜崔钟谭陆汪范金"
)
GIVEN: Final = tuple(
    "国建文德志永春秋玉桂兰芳秀英明华荣光宗耀庆祥福寿康宁安平和顺义仁礼信忠孝勤俭学思远大成功立业兴邦振家正直清廉松柏梅竹菊莲"
    "云霞晴雪山河江海川林森石泉凤龙鹤燕珍珠翠琴书画诗"
)
ROADS: Final = ("银龄", "晚晴", "松鹤", "重阳", "枫林", "夕照", "敬老", "长青", "金秋", "桑榆")

ID_REGION: Final = "3499"
"""No prefecture has this code, so no identity number begins with it; the next two digits are the unit's index."""
MOBILE_PREFIX: Final = "154"
"""Assigned to no operator."""
_CHECK_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS: Final = "10X98765432"


def full_name(rng: random.Random) -> str:
    """A surname and one or two given characters."""
    given = 1 if rng.random() < 0.12 else 2  # noqa: PLR2004  share of short names; nothing depends on it
    return rng.choice(SURNAMES) + "".join(rng.choice(GIVEN) for _ in range(given))


def address(rng: random.Random, unit_name: str) -> str:
    """A street and number in the unit."""
    return f"{unit_name}{rng.choice(ROADS)}路{rng.randint(1, 299)}号{rng.randint(1, 32)}栋{rng.randint(101, 1806)}室"


def identity_number(unit_index: int, born: date, serial: int) -> str:
    """An 18-digit identity number with a valid check digit in a region that does not exist.

    ``serial`` is 0 to 999 and odd for men, as in GB 11643.
    """
    body = f"{ID_REGION}{unit_index:02d}{born:%Y%m%d}{serial:03d}"
    return body + check_digit(body)


def check_digit(body: str) -> str:
    """The 18th character of an identity number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    return _CHECK_DIGITS[sum(int(digit) * weight for digit, weight in zip(body, _CHECK_WEIGHTS, strict=True)) % 11]


def mobile(unit_index: int, person_index: int) -> str:
    """An eleven-digit mobile number that nobody has; different for each person."""
    return f"{MOBILE_PREFIX}{unit_index:02d}{person_index * 7_919 % 1_000_000:06d}"
