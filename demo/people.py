"""Who plays in the demonstration. Everybody has a phone in the simulator, by this name."""

from dataclasses import dataclass

from models.accounts import Role

JINAN, SHIZHONG = "370100", "370103"  # 济南市, 市中区
OFFICE = "济南市中小企业服务中心"
INSTITUTION = "济南示例认证审计服务有限公司"
INSTITUTION_CODE = "91370103MA3EXAMPL"  # 17 characters; the check character is computed
PROGRAMME = "济南市中小微企业专项服务券"

# 高新区 is no administrative division: its park lies in a county of the city.
ZHENGZHOU, ZHONGYUAN = "410100", "410102"  # 郑州市, 中原区
ZHENGZHOU_OFFICE = "郑州高新区创新协同中心"
PARK = "高新区科技园"
ZHENGZHOU_PROGRAMME = "高新区科技创新专业服务券"
ENTERPRISE = "郑州示例智能仪表有限公司"
ENTERPRISE_CODE = "91410102MA3EXAMPL4"


@dataclass(frozen=True)
class Official:
    """`in_park`: responsible for PARK alone, and not for a division."""

    name: str
    role: Role
    region_code: str | None = JINAN
    in_park: bool = False


ADMIN = Official("管理员 高明", Role.ADMIN, None)
MANAGER = Official("项目经理 林青", Role.PROGRAMME_MANAGER)
SECOND_MANAGER = Official("项目经理 周岚", Role.PROGRAMME_MANAGER)
DRAW_OFFICER = Official("摇号员 孙立", Role.DRAW_OFFICER)
WITNESS = Official("见证人 吴静", Role.WITNESS)
REVIEWER = Official("审核员 郑晓", Role.REVIEWER)
CENTRE = Official("中心审核员 何敏", Role.CENTRE_REVIEWER)
OFFICIALS = (ADMIN, MANAGER, SECOND_MANAGER, DRAW_OFFICER, WITNESS, REVIEWER, CENTRE)
SELLER = "服务商 杨老师"

Z_MANAGER = Official("项目经理 刘畅", Role.PROGRAMME_MANAGER, ZHENGZHOU)
Z_SECOND_MANAGER = Official("项目经理 韩梅", Role.PROGRAMME_MANAGER, ZHENGZHOU)
Z_REVIEWER = Official("审核员 方宁", Role.REVIEWER, ZHENGZHOU)
Z_PARK = Official("园区审核员 宋洁", Role.REVIEWER, None, in_park=True)
Z_CENTRE = Official("中心审核员 马超", Role.CENTRE_REVIEWER, ZHENGZHOU)
Z_SECOND_CENTRE = Official("中心审核员 田雨", Role.CENTRE_REVIEWER, ZHENGZHOU)
Z_PAYOUT = Official("财政兑付员 丁一", Role.PAYOUT_OFFICER, ZHENGZHOU)
Z_SECOND_PAYOUT = Official("财政兑付员 邵华", Role.PAYOUT_OFFICER, ZHENGZHOU)
Z_RISK = Official("风控员 许宁", Role.RISK_OFFICER, ZHENGZHOU)
Z_SECOND_RISK = Official("风控员 秦川", Role.RISK_OFFICER, ZHENGZHOU)  # lifts what the first one froze
ZHENGZHOU_OFFICIALS = (
    Z_MANAGER, Z_SECOND_MANAGER, Z_REVIEWER, Z_PARK, Z_CENTRE, Z_SECOND_CENTRE, Z_PAYOUT, Z_SECOND_PAYOUT, Z_RISK, Z_SECOND_RISK,
)

# The Industrial Park is a county-level division of its own in the national tables.
SUZHOU_PARK = "320571"  # 苏州工业园区
SUZHOU_OFFICE = "苏州工业园区企业发展服务中心"
SUZHOU_PROGRAMME = "苏州工业园区企业服务超市"
# The supermarket itself hands out no vouchers. With this one its demands become orders, which both sides then rate.
SUZHOU_VOUCHERS = "苏州工业园区企业服务券"
S_ADMIN = Official("超市管理员 陆远", Role.ADMIN, SUZHOU_PARK)
S_SECOND_ADMIN = Official("超市管理员 钱敏", Role.ADMIN, SUZHOU_PARK)  # confirms what the first one proposes
S_MANAGER = Official("项目经理 沈洁", Role.PROGRAMME_MANAGER, SUZHOU_PARK)
S_SECOND_MANAGER = Official("项目经理 顾平", Role.PROGRAMME_MANAGER, SUZHOU_PARK)
S_CENTRE = Official("中心审核员 徐宁", Role.CENTRE_REVIEWER, SUZHOU_PARK)
S_REVIEWER = Official("审核员 蒋文", Role.REVIEWER, SUZHOU_PARK)
SUZHOU_OFFICIALS = (S_ADMIN, S_SECOND_ADMIN, S_MANAGER, S_SECOND_MANAGER, S_CENTRE, S_REVIEWER)

BUYER = "企业 陈晨"  # of ENTERPRISE

# Who has vouchers comes first: a newcomer begins with the first one that is offered.
EVERYBODY = (BUYER, SELLER, *(official.name for official in (*OFFICIALS, *ZHENGZHOU_OFFICIALS, *SUZHOU_OFFICIALS)))
