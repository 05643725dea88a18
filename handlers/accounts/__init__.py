"""Persons, sessions, consent, and the organisations that they act for."""

from handlers.accounts.consents import (
    ConsentNeeded,
    ConsentOutdated,
    ConsentView,
    DocumentView,
    agree,
    agreement,
    privacy,
    require_consent,
)
from handlers.accounts.members import (
    AlreadyMember,
    EndedView,
    LastOwner,
    MemberView,
    change_member_role,
    end_membership,
    invite_member,
    list_members,
)
from handlers.accounts.officials import (
    AdminExists,
    JurisdictionNeeded,
    OfficeUnknown,
    OfficeView,
    OfficialView,
    RolesNotSeparate,
    appoint_first_admin,
    appoint_official,
    create_office,
    end_official,
    list_offices,
    list_officials,
)
from handlers.accounts.organisations import (
    CreditCodeInvalid,
    OrganisationExists,
    OrganisationsTooMany,
    PersonUnknown,
    RegisteredView,
    credit_code_of,
    register_organisation,
)
from handlers.accounts.people import (
    LoginCodeRefused,
    MembershipView,
    MeView,
    PhoneTaken,
    PlatformUnavailable,
    bind_phone,
    me,
    set_name,
)
from handlers.accounts.signing_in import (
    RevokedView,
    SessionView,
    SignedInView,
    forget_sessions,
    list_sessions,
    log_in,
    log_out,
    revoke_other_sessions,
    revoke_session,
    switch_membership,
)

__all__ = [
    "AdminExists", "AlreadyMember", "ConsentNeeded", "ConsentOutdated", "ConsentView", "CreditCodeInvalid", "DocumentView",
    "EndedView", "JurisdictionNeeded", "LastOwner", "LoginCodeRefused", "MeView", "MemberView", "MembershipView", "OfficeUnknown",
    "OfficeView", "OfficialView", "OrganisationExists", "OrganisationsTooMany", "PersonUnknown", "PhoneTaken",
    "PlatformUnavailable", "RegisteredView", "RevokedView", "RolesNotSeparate", "SessionView", "SignedInView", "agree", "agreement",
    "appoint_first_admin", "appoint_official", "bind_phone", "change_member_role", "create_office", "credit_code_of",
    "end_membership", "end_official", "forget_sessions", "invite_member", "list_members", "list_offices", "list_officials",
    "list_sessions", "log_in", "log_out", "me", "privacy", "register_organisation", "require_consent", "revoke_other_sessions",
    "revoke_session", "set_name", "switch_membership",
]
