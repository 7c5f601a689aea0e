"""Decides at boot, before Docker starts, whether this node's data may still start as the primary.

A person or EC2 may restart an instance that was stopped as lost. Docker then restarts its containers, and a former primary
would accept writes beside the new one. So the node asks its peers first, once per boot.
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

# How long to wait if no peer answers. Nodes that lost power together boot together. After that the node starts as the
# primary: otherwise a primary that has lost all replicas would never start again.
NO_ANSWER_SECONDS = 60
# How long to wait for the others once one has answered: the network works, so they are probably down.
GRACE_SECONDS = 5


def main() -> None:
    """Fences a primary's data if another node has taken over, and prints the decision."""
    record = read_json(RECORD)
    password = read_password(read_text("%s/%s" % (ETC, PASSFILE)) or "")
    if record is None or password is None or not os.path.isdir(DATA) or os.path.exists("%s/%s" % (DATA, SIGNAL)):
        print("no primary's data here")
        return
    addresses = list_addresses(read_text("%s/%s" % (ETC, HBA)) or "")
    peers = [address for address in addresses if not is_own(address)]
    # False if the machine is new and only the volume is old. Its peers do not know its address, so a refusal proves nothing.
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
    """Returns why this node is no longer the primary according to its peers; None if no peer says so.

    `identifier` and `timeline` are those of the node's data. `is_known`: the peers have this machine's address in their
    pg_hba.conf. Returns as soon as one peer says so or all have answered.
    """
    deadline = clock() + NO_ANSWER_SECONDS
    silent = list(peers)
    mistrusted: Optional[str] = None
    is_followed = False
    while silent:
        with ThreadPoolExecutor(len(silent)) as pool:
            answers = list(zip(silent, pool.map(lambda address: _try(ask, address), silent)))
        for address, answer in answers:
            if isinstance(answer, Refused):
                if is_known and not answer.by_password:
                    # A failover removes the lost node from pg_hba.conf. A replica that reports no successor does not
                    # disprove it: it may not know the new primary yet.
                    return "%s does not let this node replicate, so the cluster went on without it" % address
                mistrusted = address
                continue
            reason = explain_takeover(address, answer, identifier, timeline)
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
    # A different password alone proves nothing: after a change, a replica whose replay hangs still has the old one. Only if
    # no peer is left on this timeline has the next primary changed it.
    if is_known and mistrusted is not None and not is_followed:
        return "%s has another replication password, so the cluster went on without this node" % mistrusted
    return None


def _try(ask: Callable[[str], Optional[Peer]], address: str) -> Any:
    try:
        return ask(address)
    except Refused as refusal:
        return refusal


def explain_takeover(address: str, answer: Optional[Peer], identifier: str, timeline: int) -> Optional[str]:
    """Returns how one answer shows that another node has taken over; None if it does not."""
    if answer is None or answer.system_identifier != identifier:
        return None
    if answer.is_primary and answer.timeline >= timeline:
        return "%s is a primary on timeline %d, this node was on %d" % (address, answer.timeline, timeline)
    if answer.timeline > timeline:
        return "%s follows a primary on timeline %d, this node was on %d" % (address, answer.timeline, timeline)
    return None


def list_addresses(hba: str) -> List[str]:
    """Returns the addresses of all nodes in a pg_hba.conf of the action: those that may replicate."""
    return re.findall(r"^host replication %s (\d+\.\d+\.\d+\.\d+)/32 " % REPLICATION_USER, hba, re.MULTILINE)


def is_own(address: str) -> bool:
    """Whether an address is this machine's own: only then can a socket bind to it."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def read_password(passfile: str) -> Optional[str]:
    """Returns the password from a line of `render_passfile` (PostgreSQL manual, 32.16), or None."""
    match = re.match(r"\*:\*:\*:%s:(.*)\n" % REPLICATION_USER, passfile)
    return None if match is None else re.sub(r"\\(.)", r"\1", match.group(1))


if __name__ == "__main__":
    main()
