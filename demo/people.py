"""Who plays in the demonstration. Everybody has a phone in the simulator, by this name."""

from dataclasses import dataclass

from models.accounts import Role

JINAN, SHIZHONG = "370100", "370103"  # 济南市, 市中区
OFFICE = "济南市中小企业服务中心"
INSTITUTION = "济南示例认证审计服务有限公司"
INSTITUTION_CODE = "91370103MA3EXAMPL"  # 17 characters; the check character is computed
PROGRAMME = "济南市中小微企业专项服务券"


@dataclass(frozen=True)
class Official:
    name: str
    role: Role
    region_code: str | None = JINAN


ADMIN = Official("管理员 高明", Role.ADMIN, None)
MANAGER = Official("项目经理 林青", Role.PROGRAMME_MANAGER)
SECOND_MANAGER = Official("项目经理 周岚", Role.PROGRAMME_MANAGER)
DRAW_OFFICER = Official("摇号员 孙立", Role.DRAW_OFFICER)
WITNESS = Official("见证人 吴静", Role.WITNESS)
REVIEWER = Official("审核员 郑晓", Role.REVIEWER)
CENTRE = Official("中心审核员 何敏", Role.CENTRE_REVIEWER)
OFFICIALS = (ADMIN, MANAGER, SECOND_MANAGER, DRAW_OFFICER, WITNESS, REVIEWER, CENTRE)
SELLER = "服务商 杨老师"
