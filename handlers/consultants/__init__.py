"""Consultants: added and invited by an institution, accepted by a link, reviewed, and ended by either side (D07-D11)."""

from handlers.consultants.answering import Identified, accept, decline, forget_codes, identify, send_phone_code
from handlers.consultants.badges import BadgeStandingView, BadgeView, Standing, check_badge, show_badge
from handlers.consultants.inviting import (
    InvitationView,
    InvitedView,
    ask_renewal,
    invite,
    lapse_due,
    link_of,
    open_invitation,
    require_own_token,
    revoke,
)
from handlers.consultants.managing import (
    add_consultant,
    change_consultant,
    get_consultant,
    leave,
    list_consultants,
    list_public,
    unlink,
)
from handlers.consultants.posters import PosterKind, draw_platform_code, draw_poster
from handlers.consultants.profiles import (
    INTRODUCTION_MAX,
    PHOTO_SLOT,
    SPECIALITIES_MAX,
    ProfileForm,
    get_mine,
    list_mine,
    submit,
    upload_photo,
)
from handlers.consultants.refusals import (
    AlreadyConsultant,
    CodeExpired,
    CodesTooMany,
    CodeWrong,
    ConsultantExists,
    ConsultantStateWrong,
    ContactNeeded,
    InvitationExpired,
    InvitationUsed,
    InvitedOther,
    PhoneMalformed,
    PhoneNeeded,
    PlatformCodeUnavailable,
    SpecialityUnknown,
)
from handlers.consultants.views import ConsultancyView, ConsultantView, PublicConsultantView

__all__ = [
    "INTRODUCTION_MAX", "PHOTO_SLOT", "SPECIALITIES_MAX", "AlreadyConsultant", "BadgeStandingView", "BadgeView", "CodeExpired",
    "CodeWrong", "CodesTooMany", "ConsultancyView", "ConsultantExists", "ConsultantStateWrong", "ConsultantView", "ContactNeeded",
    "Identified", "InvitationExpired", "InvitationUsed", "InvitationView", "InvitedOther", "InvitedView", "PhoneMalformed",
    "PhoneNeeded", "PlatformCodeUnavailable", "PosterKind", "ProfileForm", "PublicConsultantView", "SpecialityUnknown", "Standing",
    "accept", "add_consultant", "ask_renewal", "change_consultant", "check_badge", "decline", "draw_platform_code", "draw_poster",
    "forget_codes", "get_consultant", "get_mine", "identify", "invite", "lapse_due", "leave", "link_of", "list_consultants",
    "list_mine", "list_public", "open_invitation", "require_own_token", "revoke", "send_phone_code", "show_badge", "submit", "unlink",
    "upload_photo",
]
