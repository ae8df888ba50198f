"""Lists every reason that activities refuses for: its code, its HTTP status, its Chinese title."""

from typing import Final

from services.runtime.outcomes import Problem
from services.runtime.problems import SHEET_PROBLEMS

_UNKNOWN: Final = (
    Problem("activity_unknown", 404, "没有这个活动"),
    Problem("session_unknown", 404, "没有这个场次"),
    Problem("volunteer_unknown", 404, "没有这位志愿者"),
    Problem("station_unknown", 404, "没有这个驿站"),
    Problem("organisation_unknown", 404, "没有这个组织"),
    Problem("unit_unknown", 404, "没有这个单位"),
    Problem("brand_unknown", 404, "没有这个品牌"),
    Problem("batch_unknown", 404, "没有这个批次"),
    Problem("proposal_unknown", 404, "没有这条补录申请"),
)
_PROGRAMME: Final = (
    Problem("session_window_invalid", 422, "结束时间须晚于开始时间，且不超过二十四小时"),
    Problem("nothing_to_publish", 409, "没有待发布的内容"),
)
_SIGN_UP: Final = (
    Problem("session_not_published", 409, "场次尚未发布"),
    Problem("session_closed", 409, "场次已结束，不能报名"),
    Problem("session_full", 409, "名额已满"),
    Problem("already_signed_up", 409, "已经报名"),
    Problem("overlapping_sign_up", 409, "与已报名的场次时间冲突"),
    Problem("volunteer_not_active", 409, "志愿者已暂停或退出服务"),
)
_ATTENDANCE: Final = (
    Problem("already_checked_in", 409, "已经签到"),
    Problem("not_checked_in", 409, "尚未签到，不能签退"),
    Problem("already_checked_out", 409, "已经签退"),
    Problem("check_out_before_check_in", 422, "签退时间须晚于签到时间"),
    Problem("time_before_window", 422, "时间早于场次允许的范围"),
    Problem("time_after_window", 422, "时间晚于场次允许的范围"),
    Problem("time_in_future", 422, "时间晚于当前时间"),
)
_PROOFS: Final = (
    Problem("proof_missing", 422, "缺少签到凭证"),
    Problem("code_invalid", 422, "验证码不正确或已过期"),
    Problem("code_already_used", 409, "一次性验证码已被使用"),
    Problem("card_invalid", 422, "志愿者卡与本人不符"),
)
_BACK_OFFICE: Final = (
    Problem("second_person_required", 403, "须由另一人审核，本人不能审核自己的申请"),
    Problem("proposal_decided", 409, "该补录申请已有审核结果"),
)
_ROWS: Final = (
    Problem("row_malformed", 422, "该行格式有误"),
    Problem("row_repeated", 422, "行号重复"),
)
_SHEETS: Final = (
    *SHEET_PROBLEMS,
    Problem("cell_not_an_id", 422, "编号格式有误：只能用字母、数字和 _ . : -，最多六十四个字符"),
    Problem("cell_not_a_unit", 422, "单位代码须为六位数字"),
    Problem("cell_too_long", 422, "内容过长，最多五十个字"),
    Problem("cell_not_printable", 422, "含有换行或不可见字符"),
    Problem("cell_not_a_time", 422, "时间格式有误，例如 2026-07-14T09:00:00+08:00"),
    Problem("cell_not_a_number", 422, "须为一到一万的整数"),
    Problem("activity_differs", 409, "与已有的活动内容不一致"),
    Problem("session_differs", 409, "与已有的场次内容不一致"),
    Problem("session_published_already", 409, "场次已发布，不能改回草稿"),
)

PROBLEMS: Final[tuple[Problem, ...]] = (
    *_UNKNOWN,
    *_PROGRAMME,
    *_SIGN_UP,
    *_ATTENDANCE,
    *_PROOFS,
    *_BACK_OFFICE,
    *_ROWS,
    *_SHEETS,
)
"""``row_`` and ``cell_`` codes stand with their titles in receipts and lists of errors; no answer has their status."""
