"""What an asker may meet instead of an answer."""

from pykka import ActorDeadError, Timeout

__all__ = ["ActorCrashed", "ActorDeadError", "AskTimeout", "MailboxFull", "StartFailed"]


class MailboxFull(Exception):  # noqa: N818 - the word of the glossary: a fact, not a fault
    """The mailbox refused the message; nothing was done, ask again later."""


class AskTimeout(Timeout, TimeoutError):  # noqa: N818 - as Pykka and Python name theirs
    """No answer came in time; whether the work was done is unknown."""


class ActorCrashed(Exception):  # noqa: N818 - names what happened to the actor
    """The actor died of this very message; the cause is chained where it was an exception."""


class StartFailed(Exception):  # noqa: N818 - names what happened to the tree
    """The tree did not come up; whatever had started was stopped again."""
