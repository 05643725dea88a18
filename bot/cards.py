"""What an interactive card shows, and DingTalk's cards as `handlers.ports` wants them: brought up to date when a case is over."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from bot.answering import day, say
from bot.deep_links import go_url
from bot.dingtalk_api import DingTalkApi
from bot.transport import PlatformError, to_json
from handlers.ports import Outcome, SendResult, SettledCase
from handlers.working_days import SHANGHAI

log = structlog.get_logger(__name__)

CARD_GONE = frozenset({"param.cardNotExist"})
CASE_PAGE = "pages/approvals/show?id={}"
DONE = {"approved": "通过", "returned": "退回补正", "rejected": "驳回", "withdrawn": "撤回"}


def card_data(title: str, text: str, url: str, buttons: Sequence[dict[str, str]]) -> dict[str, str]:
    """The variables of the card template: strings only, lists as JSON. Without buttons the matter is settled."""
    listed = "[" + ",".join(to_json(button).decode() for button in buttons) + "]"
    return {"title": title, "text": text, "url": url, "buttons": listed, "state": "open" if buttons else "settled"}


def outcome(state: str, by: str | None, at: datetime | str | None) -> str:
    """已由 李* 10:31 驳回, 已于 10:31 撤回."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    clock = f"{moment.astimezone(SHANGHAI):%H:%M}" if moment else ""
    return say("approving.outcome", by=by or "", at=clock if by or not clock else f"于 {clock}", done=DONE[state])


class DingTalkCards:
    def __init__(self, client: DingTalkApi, public_url: str) -> None:
        self._client, self._public_url = client, public_url

    async def settle(self, track_id: str, case: SettledCase) -> SendResult:
        """Every card is in a chat of two with a reviewer who could open the case: nothing of it is masked."""
        text = say(
            "approving.card", title=case.title, applicant=case.applicant, submitted=day(case.submitted_at), due=day(case.due_at),
            outcome=outcome(case.state, case.decided_by, case.decided_at),
        )
        page = go_url(self._public_url, CASE_PAGE.format(case.approval_id))
        try:
            await self._client.update_card(track_id, card_data(say("approving.title", number=case.approval_id), text, page or "", ()))
        except PlatformError as error:
            if error.retryable:
                return SendResult(Outcome.RETRY, error=str(error))
            if error.code not in CARD_GONE:
                log.warning("card_not_settled", code=error.code, message=error.message)
            return SendResult(Outcome.REFUSED, error=str(error))
        return SendResult(Outcome.DELIVERED)
