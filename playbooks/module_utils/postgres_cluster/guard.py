"""Before Docker starts at a boot: whether this node's data may still come up as the primary's.

An instance that was stopped as lost may be started again, by a person or by EC2. Docker then starts what ran on it
before, and a former primary would take writes beside the new one. So its peers are asked first, once a boot.
"""

from __future__ import annotations

import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, Optional

from .files import read_json, read_text
from .layout import DATA, ETC, HBA, PASSFILE, RECORD, REPLICATION_USER
from .peer import Peer, Refused, ask_peer
from .signals import SIGNAL, raise_fence
from .timeline import find_received_timeline

# Nodes that lost their power together come up together. Who has seen none of them by then is taken for alone: a
# primary whose replicas are all gone must not stay down for good.
LONELY_SECONDS = 60
# Once one has answered, nothing is wrong with the way to them. The others may be down.
GRACE_SECONDS = 5


def main() -> None:
    """Fences data that was a primary's where another node has taken over, and says so."""
    record = read_json(RECORD)
    password = read_password(read_text("%s/%s" % (ETC, PASSFILE)) or "")
    if record is None or password is None or not os.path.isdir(DATA) or os.path.exists("%s/%s" % (DATA, SIGNAL)):
        print("no primary's data here")
        return
    addresses = list_addresses(read_text("%s/%s" % (ETC, HBA)) or "")
    peers = [address for address in addresses if not is_own(address)]
    # The machine was made anew around the volume: its peers cannot know its address, so that they refuse it says nothing.
    is_known = len(peers) < len(addresses)
    reason = find_successor(
        peers,
        ask=lambda address: ask_peer(address, password),
        is_known=is_known,
        identifier=str(record.get("systemIdentifier")),
        timeline=find_received_timeline(),
    )
    if reason is None:
        print("this node's data may come up as the primary's")
    elif raise_fence():
        print("%s: this node's data was a primary's and comes up as a replica's" % reason)


def find_successor(
    peers: List[str],
    ask: Callable[[str], Optional[Peer]],
    identifier: str,
    timeline: int,
    is_known: bool = True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> Optional[str]:
    """Why this node is the primary no longer, as its peers know it; None where none of them says so.

    `identifier` and `timeline` are those of the data here; `is_known`: the peers have this machine's address in their
    pg_hba.conf. Returns as soon as one says so or all have answered.
    """
    deadline = clock() + LONELY_SECONDS
    silent = list(peers)
    mistrusted: Optional[str] = None
    is_followed = False
    while silent:
        with ThreadPoolExecutor(len(silent)) as pool:
            answers = list(zip(silent, pool.map(lambda address: _try(ask, address), silent)))
        for address, answer in answers:
            if isinstance(answer, Refused):
                if is_known and not answer.by_password:
                    # What a failover does: the node that is given up has no place in pg_hba.conf any more. A replica
                    # that knows of no successor is no proof against it, as it may have yet to hear of one.
                    return "%s does not let this node replicate, so the cluster went on without it" % address
                mistrusted = address
                continue
            reason = judge(address, answer, identifier, timeline)
            if reason is not None:
                return reason
            is_followed = is_followed or (answer is not None and answer.system_identifier == identifier)
        if any(answer is not None for _, answer in answers):
            deadline = min(deadline, clock() + GRACE_SECONDS)
        silent = [address for address, answer in answers if answer is None]
        if silent and clock() >= deadline:
            print("no answer from %s" % ", ".join(silent))
            break
        if silent:
            sleep(0.5)
    # A replica whose replay hangs during a change of the password still knows the old one. Where nobody follows this
    # timeline any more, the password was changed by the next primary.
    if is_known and mistrusted is not None and not is_followed:
        return "%s has another replication password, so the cluster went on without this node" % mistrusted
    return None


def _try(ask: Callable[[str], Optional[Peer]], address: str) -> Any:
    try:
        return ask(address)
    except Refused as refusal:
        return refusal


def judge(address: str, answer: Optional[Peer], identifier: str, timeline: int) -> Optional[str]:
    """What one answer says against this node's data being the primary's; None where nothing."""
    if answer is None or answer.system_identifier != identifier:
        return None
    if answer.is_primary and answer.timeline >= timeline:
        return "%s is a primary on timeline %d, this node was on %d" % (address, answer.timeline, timeline)
    if answer.timeline > timeline:
        return "%s follows a primary on timeline %d, this node was on %d" % (address, answer.timeline, timeline)
    return None


def list_addresses(hba: str) -> List[str]:
    """The nodes' addresses in the pg_hba.conf that a step wrote: those that may replicate."""
    return re.findall(r"^host replication %s (\d+\.\d+\.\d+\.\d+)/32 " % REPLICATION_USER, hba, re.MULTILINE)


def is_own(address: str) -> bool:
    """Whether an address is this machine's: only then may a socket have it."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def read_password(passfile: str) -> Optional[str]:
    """The password in a line as `render_passfile` writes it (PostgreSQL manual, 32.16); None without one."""
    match = re.match(r"\*:\*:\*:%s:(.*)\n" % REPLICATION_USER, passfile)
    return None if match is None else re.sub(r"\\(.)", r"\1", match.group(1))


if __name__ == "__main__":
    main()
