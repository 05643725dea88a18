"""Kinds of services (服务类型, E24). Voucher types name the codes they pay for, so a code is never reused or renamed."""

CATEGORIES = {
    "audit": "审计服务",
    "certification": "体系认证服务",
    "legal": "法律服务",
    "finance_tax": "财税服务",
    "ip": "知识产权服务",
    "hr": "人力资源服务",
    "digital": "数字化服务",
    "training": "培训服务",
    "consulting": "管理咨询服务",
    "testing": "检验检测服务",
    "financing": "投融资服务",
    "marketing": "市场开拓服务",
    "innovation": "科技创新服务",
    "other": "其他服务",
}
