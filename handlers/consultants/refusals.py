from handlers.refusals import Kind, Refusal


class ConsultantExists(Refusal):
    """The same mobile at the same institution: whoever was unlinked is invited again in the same row."""

    kind, code, title = Kind.CONFLICT, "consultant_exists", "该手机号已在本机构的顾问名单中，请在原记录上操作"


class ConsultantStateWrong(Refusal):
    """`data.state`."""

    kind, code, title = Kind.CONFLICT, "consultant_state_wrong", "顾问当前状态不能进行此操作"


class ContactNeeded(Refusal):
    kind, code, title = Kind.INVALID, "contact_needed", "请至少填写手机号或邮箱"


class SpecialityUnknown(Refusal):
    kind, code, title = Kind.INVALID, "speciality_unknown", "没有该服务类型"


class InvitationExpired(Refusal):
    """Seven days are over; its reader may ask for another one."""

    kind, code, title = Kind.CONFLICT, "invitation_expired", "邀请已过期，请联系服务机构重新邀请"


class InvitationUsed(Refusal):
    kind, code, title = Kind.CONFLICT, "invitation_used", "邀请已被接受，不能重复使用"


class InvitedOther(Refusal):
    """The institution named a phone, and it is not this person's: a forwarded link is worth nothing."""

    kind, code, title = Kind.FORBIDDEN, "invited_other", "该邀请不是发给此手机号的，请使用机构邀请时登记的手机号"


class PhoneNeeded(Refusal):
    kind, code, title = Kind.CONFLICT, "phone_needed", "请先绑定手机号"


class AlreadyConsultant(Refusal):
    """The institution has this person in another row; from there it goes on (D11)."""

    kind, code, title = Kind.CONFLICT, "already_consultant", "您已在该机构的顾问名单中，请由机构在原记录上重新邀请"


class CodesTooMany(Refusal):
    """`data.retry_after_seconds`."""

    kind, code, title = Kind.TOO_MANY, "codes_too_many", "验证码发送过于频繁，请稍后再试"


class CodeWrong(Refusal):
    """`data.tries_left`."""

    kind, code, title = Kind.INVALID, "code_wrong", "验证码不正确"


class CodeExpired(Refusal):
    """Also after five wrong tries, and where none was sent: the answer is the same."""

    kind, code, title = Kind.CONFLICT, "code_expired", "验证码已失效，请重新获取"


class PhoneMalformed(Refusal):
    kind, code, title = Kind.INVALID, "phone_malformed", "请填写 11 位手机号"


class PlatformCodeUnavailable(Refusal):
    """WeChat is not set up here, or did not answer with a picture."""

    kind, code, title = Kind.UNAVAILABLE, "platform_code_unavailable", "暂时无法生成小程序码，请使用邀请链接或二维码"
