"""Which failures of ssh are worth waiting for: those of a machine that is starting. Everything else stays as it is."""

from __future__ import annotations

from typing import Optional

# A machine that has just been made lets nobody in until cloud-init has installed the key.
KEY_SECONDS = 30.0

STARTING = "starting"
DENIED = "denied"
HOPELESS = "hopeless"

# Looked at from top to bottom: the first words that the failure contains decide, and what contains none of them is
# hopeless. A server's greeting and a warning of the client stand beside the reason, so the order matters.
TABLE = (
    # The client itself refuses.
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", HOPELESS),
    ("Host key verification failed", HOPELESS),
    ("UNPROTECTED PRIVATE KEY FILE", HOPELESS),
    ("Bad configuration option", HOPELESS),
    ("Bad owner or permissions", HOPELESS),
    ("Could not resolve hostname", HOPELESS),
    ("Unable to negotiate", HOPELESS),
    # pam_nologin (pam_nologin(8), systemd-user-sessions.service(8)), at a start and at its end.
    ("System is booting up", STARTING),
    ("System is going down", STARTING),
    ("Unprivileged users are not permitted to log in", STARTING),
    ("pam_nologin", STARTING),
    # The server is there and does not know the key, or any of them.
    ("Too many authentication failures", HOPELESS),
    ("Permission denied", DENIED),
    # Nobody listens yet, or nobody is there yet.
    ("Connection refused", STARTING),
    ("timed out", STARTING),
    ("No route to host", STARTING),
    ("Host is down", STARTING),
    # cloud-init restarts sshd in the middle of its work, and a machine that shuts down first ends its sessions.
    ("Connection reset", STARTING),
    ("Connection closed", STARTING),
    ("closed by remote host", STARTING),
    ("Broken pipe", STARTING),
    ("kex_exchange_identification", STARTING),
    ("banner exchange", STARTING),
)


def judge(reason: str) -> str:
    """STARTING, DENIED (the key is not known there) or HOPELESS, by what ssh said."""
    lowered = reason.lower()
    return next((verdict for words, verdict in TABLE if words.lower() in lowered), HOPELESS)


class Patience:
    """How long one node is waited for, from the moment on at which this is made. Times are in seconds.

    `fresh`: this run has made the node's machine, so its key may be on its way.
    """

    def __init__(self, seconds: float, fresh: bool, now: float) -> None:
        self._end = now + seconds
        self._key_end: Optional[float] = now + KEY_SECONDS if fresh else None

    def is_worth(self, reason: str, now: float) -> bool:
        """Whether to try again after a failure with ssh's words `reason`, at the time `now`."""
        if now > self._end:
            return False
        verdict = judge(reason)
        if verdict == STARTING:
            # A node that was seen to start counts as a new one.
            self._key_end = now + KEY_SECONDS
            return True
        return verdict == DENIED and self._key_end is not None and now <= self._key_end
