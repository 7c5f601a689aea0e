"""Which failures of ssh are retried: those of a machine that is starting. All others are permanent."""

from __future__ import annotations

from typing import Optional

# A new machine refuses every key until cloud-init has installed ours.
KEY_SECONDS = 30.0
PAUSE_SECONDS = 2.0
# sshd 9.8 and later refuses an address for 15 s at least once its penalties add up to that; a login that failed is one
# of 5 s (sshd_config(5), PerSourcePenalties). At this pause they never add up, and the address may be shared: that of an
# EC2 Instance Connect Endpoint is every runner's.
DENIED_PAUSE_SECONDS = 6.0

STARTING = "starting"
DENIED = "denied"
PERMANENT = "permanent"

# The first entry that the error contains decides; an error that contains none is permanent. The order matters, because
# the error may also contain the server's banner and the client's warnings.
TABLE = (
    # The client itself refuses.
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", PERMANENT),
    ("Host key verification failed", PERMANENT),
    ("UNPROTECTED PRIVATE KEY FILE", PERMANENT),
    ("Bad configuration option", PERMANENT),
    ("Bad owner or permissions", PERMANENT),
    ("Could not resolve hostname", PERMANENT),
    ("Unable to negotiate", PERMANENT),
    # pam_nologin (pam_nologin(8), systemd-user-sessions.service(8)), at a start and at its end.
    ("System is booting up", STARTING),
    ("System is going down", STARTING),
    ("Unprivileged users are not permitted to log in", STARTING),
    ("pam_nologin", STARTING),
    # The server is up and does not accept the key, or any of the keys.
    ("Too many authentication failures", PERMANENT),
    ("Permission denied", DENIED),
    # sshd does not listen yet, or the machine is not up yet.
    ("Connection refused", STARTING),
    ("timed out", STARTING),
    ("No route to host", STARTING),
    ("Host is down", STARTING),
    # cloud-init restarts sshd while it works, and a machine that shuts down ends its sessions first.
    ("Connection reset", STARTING),
    ("Connection closed", STARTING),
    ("closed by remote host", STARTING),
    ("Broken pipe", STARTING),
    ("kex_exchange_identification", STARTING),
    ("banner exchange", STARTING),
)


def classify(error: str) -> str:
    """Returns STARTING, DENIED (the node does not accept the key) or PERMANENT for an error message of ssh."""
    lowered = error.lower()
    return next((kind for text, kind in TABLE if text.lower() in lowered), PERMANENT)


class RetryPolicy:
    """Decides how long to retry one node, counted from the construction. Times are in seconds.

    `fresh`: this run has created the node's machine, so the key may not be installed yet.
    """

    def __init__(self, seconds: float, fresh: bool, now: float) -> None:
        self._end = now + seconds
        self._key_end: Optional[float] = now + KEY_SECONDS if fresh else None

    def should_retry(self, error: str, now: float) -> bool:
        """Whether to retry after ssh's error message `error` at the time `now`."""
        if now > self._end:
            return False
        kind = classify(error)
        if kind == STARTING:
            # A node that starts gets its key late, as a new one does.
            self._key_end = now + KEY_SECONDS
            return True
        return kind == DENIED and self._key_end is not None and now <= self._key_end


def choose_pause(error: str) -> float:
    """Returns how many seconds to wait before the retry after ssh's error message `error`."""
    return DENIED_PAUSE_SECONDS if classify(error) == DENIED else PAUSE_SECONDS
