"""Lists every reason that registry refuses for: its code, its HTTP status, its Chinese title."""

from typing import Final

from services.runtime.outcomes import Problem
from services.runtime.problems import SHEET_PROBLEMS

_UNKNOWN: Final = (
    Problem("unit_unknown", 404, "没有这个单位"),
    Problem("organisation_unknown", 404, "没有这个组织"),
    Problem("volunteer_unknown", 404, "没有这位志愿者"),
    Problem("volunteer_erased", 410, "该志愿者的个人信息已依规删除"),
)
_UNITS: Final = (
    Problem("unit_parent_unknown", 422, "没有这个上级单位"),
    Problem("unit_parent_circular", 422, "上级单位形成循环"),
    Problem("unit_version_too_early", 422, "启用日期早于该单位的最新一版"),
    Problem("unit_versions_too_many", 422, "该单位的版本过多"),
    Problem("roll_dates_too_many", 422, "该单位的统计日期过多"),
)
_ORGANISATIONS: Final = (
    Problem("organisation_exists", 409, "组织编号已被使用"),
    Problem("organisation_kind_fixed", 422, "组织类型不能更改"),
    Problem("organisation_parent_unknown", 422, "没有这个上级组织"),
    Problem("organisation_parent_circular", 422, "上级组织形成循环"),
    Problem("organisation_id_form", 422, "组织编号格式有误，例如 ST-340802-03"),
)
_VOLUNTEERS: Final = (
    Problem("volunteer_duplicate", 409, "该证件号码已登记为另一位志愿者"),
    Problem("volunteer_number_taken", 409, "志愿者编号已被使用"),
    Problem("id_number_differs", 422, "该志愿者编号已登记为另一证件号码，更正请逐人办理"),
    Problem("number_form", 422, "志愿者编号须为四至三十二位字母、数字或 -"),
    Problem("number_personal", 422, "志愿者编号不能是证件号码或手机号码"),
    Problem("registered_before_birth", 422, "注册日期须晚于出生日期"),
    Problem("teams_too_many", 422, "团队过多，最多二十个"),
    Problem("team_unknown", 422, "没有这个团队"),
    Problem("organisation_not_a_team", 422, "该组织不是团队"),
    Problem("reveal_reason_missing", 422, "查看完整个人信息须说明理由"),
)
_PERSONAL: Final = (
    Problem("name_form", 422, "姓名有误，须为二至五十个字，不含数字和符号"),
    Problem("id_number_form", 422, "证件号码须为十八位，表格中请设为文本格式"),
    Problem("id_number_check_digit", 422, "证件号码校验位不符，请核对"),
    Problem("id_number_birth_date", 422, "证件号码与出生日期不一致"),
    Problem("id_number_sex", 422, "证件号码与性别不一致"),
    Problem("birth_date_range", 422, "出生日期有误，志愿者须年满十八岁"),
    Problem("political_status_unknown", 422, "政治面貌代码有误"),
    Problem("ethnic_group_unknown", 422, "民族代码有误"),
    Problem("mobile_form", 422, "手机号码须为十一位"),
    Problem("address_form", 422, "详细地址过长或含有不可见字符"),
)
_DATES: Final = (
    Problem("date_in_future", 422, "日期晚于今天"),
    Problem("date_too_far_ahead", 422, "日期距今超过一年"),
)
_SHEETS: Final = (
    *SHEET_PROBLEMS,
    Problem("row_contradicted", 422, "文件中另有一行与此行编号相同而内容不同"),
    Problem("row_too_long", 422, "该行的列数多于表头"),
    Problem("cell_too_long", 422, "内容过长"),
    Problem("cell_not_printable", 422, "含有不可见字符"),
    Problem("cell_not_a_unit", 422, "单位代码须为六位数字"),
    Problem("cell_not_a_date", 422, "日期格式有误，例如 2026-07-01"),
    Problem("cell_not_a_number", 422, "须为整数"),
)

PROBLEMS: Final[tuple[Problem, ...]] = (
    *_UNKNOWN,
    *_UNITS,
    *_ORGANISATIONS,
    *_VOLUNTEERS,
    *_PERSONAL,
    *_DATES,
    *_SHEETS,
)
"""``row_`` and ``cell_`` codes stand with their titles in lists of errors; no answer has their status."""
