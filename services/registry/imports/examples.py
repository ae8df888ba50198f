"""Shows what each list looks like; the people in it are nobody: no area begins with 3499, no operator has 154."""

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, str]] = {
    "units": (
        "单位代码,代码体系,单位名称,上级代码,启用日期\n"
        "340800,own,市直,,2020-01-01\n"
        "340802,gbt2260,迎江区,340800,2020-01-01\n"
    ),
    "roll": "单位代码,统计日期,离退休干部人数\n340802,2025-12-31,2360\n",
    "organisations": (
        "组织编号,类型,名称,单位代码,上级编号,成立日期\n"
        "ST-340802-03,驿站,迎江区银龄志愿服务驿站3号,340802,,2021-04-01\n"
        "TM-340802-007,团队,迎江区银龄志愿服务队7队,340802,ST-340802-03,2023-11-01\n"
    ),
    "volunteers": (
        "志愿者编号,姓名,证件类型,证件号码,性别,出生日期,政治面貌,民族,手机号码,区域,详细地址,注册日期,招募渠道,离退休干部,团队编号\n"
        "340802000012,甄银龄,居民身份证,349901195603020014,1,1956-03-02,01,01,15401000012,340802,"
        "迎江区晚晴路7号,2024-03-05,unit_recommendation,是,TM-340802-007\n"
    ),
}
