import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from cluster_runner.patience import DENIED, HOPELESS, KEY_SECONDS, STARTING, Patience, judge

PREFIX = "Failed to connect to the host via ssh: "
REFUSED = "ssh: connect to host 10.0.0.1 port 22: Connection refused"
NO_KEY = "admin@10.0.0.1: Permission denied (publickey)."


class Judge(unittest.TestCase):
    def test_by_what_ssh_said(self):
        for reason, expected in [
            (REFUSED, STARTING),
            ("ssh: connect to host 10.0.0.1 port 22: Connection timed out", STARTING),
            ("ssh: connect to host 10.0.0.1 port 22: No route to host", STARTING),
            ("Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out", STARTING),
            ("kex_exchange_identification: read: Connection reset by peer", STARTING),
            ("Connection closed by 10.0.0.1 port 22", STARTING),
            ("Connection to 10.0.0.1 closed by remote host.", STARTING),
            (
                '"System is booting up. Unprivileged users are not permitted to log in yet. '
                'Please come back later. For technical details, see pam_nologin(8)."\n' + NO_KEY,
                STARTING,
            ),
            (NO_KEY, DENIED),
            ("Warning: Permanently added 'i-1' (ED25519) to the list of known hosts.\r\n" + NO_KEY, DENIED),
            ("no such identity: /x/key: No such file or directory\n" + NO_KEY, DENIED),
            ("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\nDisconnected", HOPELESS),
            ("Host key verification failed.", HOPELESS),
            ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", HOPELESS),
            ("/x/ssh_config: line 1: Bad configuration option: nosuch\r\n/x/ssh_config: terminating", HOPELESS),
            ("Bad owner or permissions on /root/.ssh/config", HOPELESS),
            ("ssh: Could not resolve hostname nobody: Name or service not known", HOPELESS),
            ("Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.", HOPELESS),
            ("command-line line 0: keyword userknownhostsfile extra arguments at end of line", HOPELESS),
            ("command-line line 0: invalid quotes", HOPELESS),
            ("@ WARNING: UNPROTECTED PRIVATE KEY FILE! @", HOPELESS),
            ("something that nobody has heard of", HOPELESS),
            ("", HOPELESS),
        ]:
            with self.subTest(reason):
                self.assertEqual(judge(PREFIX + reason), expected)
                # As ansible-core 2.19 ends it.
                self.assertEqual(judge(PREFIX + reason + " (traceback unavailable)"), expected)


class Waiting(unittest.TestCase):
    def test_a_machine_that_starts_is_waited_for_until_the_end(self):
        patience = Patience(300, False, 0)
        self.assertTrue(patience.is_worth(REFUSED, 299))
        self.assertFalse(patience.is_worth(REFUSED, 301))

    def test_an_existing_node_that_does_not_know_the_key_is_not(self):
        self.assertFalse(Patience(300, False, 0).is_worth(NO_KEY, 0))

    def test_a_new_one_gets_its_key_within_a_moment(self):
        patience = Patience(300, True, 0)
        self.assertTrue(patience.is_worth(NO_KEY, KEY_SECONDS - 1))
        self.assertFalse(patience.is_worth(NO_KEY, KEY_SECONDS + 1))

    def test_one_that_was_seen_to_start_as_well(self):
        patience = Patience(300, False, 0)
        self.assertTrue(patience.is_worth(REFUSED, 100))
        self.assertTrue(patience.is_worth(NO_KEY, 100 + KEY_SECONDS - 1))
        self.assertFalse(patience.is_worth(NO_KEY, 100 + KEY_SECONDS + 1))

    def test_hopeless_is_hopeless_also_of_a_new_one(self):
        self.assertFalse(Patience(300, True, 0).is_worth("Host key verification failed.", 0))


if __name__ == "__main__":
    unittest.main()
