import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from cluster_runner.retry_policy import DENIED, KEY_SECONDS, PERMANENT, STARTING, RetryPolicy, choose_pause, classify

PREFIX = "Failed to connect to the host via ssh: "
REFUSED = "ssh: connect to host 10.0.0.1 port 22: Connection refused"
NO_KEY = "admin@10.0.0.1: Permission denied (publickey)."


class Classify(unittest.TestCase):
    def test_by_the_error_message_of_ssh(self):
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
            ("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\nDisconnected", PERMANENT),
            ("Host key verification failed.", PERMANENT),
            ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", PERMANENT),
            ("/x/ssh_config: line 1: Bad configuration option: nosuch\r\n/x/ssh_config: terminating", PERMANENT),
            ("Bad owner or permissions on /root/.ssh/config", PERMANENT),
            ("ssh: Could not resolve hostname nobody: Name or service not known", PERMANENT),
            ("Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.", PERMANENT),
            ("command-line line 0: keyword userknownhostsfile extra arguments at end of line", PERMANENT),
            ("command-line line 0: invalid quotes", PERMANENT),
            ("@ WARNING: UNPROTECTED PRIVATE KEY FILE! @", PERMANENT),
            ("an unknown error", PERMANENT),
            ("", PERMANENT),
        ]:
            with self.subTest(reason):
                self.assertEqual(classify(PREFIX + reason), expected)
                # ansible-core 2.19 appends this.
                self.assertEqual(classify(PREFIX + reason + " (traceback unavailable)"), expected)


class Retries(unittest.TestCase):
    def test_a_machine_that_starts_is_retried_until_the_deadline(self):
        policy = RetryPolicy(300, False, 0)
        self.assertTrue(policy.should_retry(REFUSED, 299))
        self.assertFalse(policy.should_retry(REFUSED, 301))

    def test_an_existing_node_that_denies_the_key_is_not_retried(self):
        self.assertFalse(RetryPolicy(300, False, 0).should_retry(NO_KEY, 0))

    def test_a_new_node_that_denies_the_key_is_retried_for_a_moment(self):
        policy = RetryPolicy(300, True, 0)
        self.assertTrue(policy.should_retry(NO_KEY, KEY_SECONDS - 1))
        self.assertFalse(policy.should_retry(NO_KEY, KEY_SECONDS + 1))

    def test_a_node_that_was_starting_and_denies_the_key_is_retried_for_a_moment(self):
        policy = RetryPolicy(300, False, 0)
        self.assertTrue(policy.should_retry(REFUSED, 100))
        self.assertTrue(policy.should_retry(NO_KEY, 100 + KEY_SECONDS - 1))
        self.assertFalse(policy.should_retry(NO_KEY, 100 + KEY_SECONDS + 1))

    def test_a_permanent_error_of_a_new_node_is_not_retried(self):
        self.assertFalse(RetryPolicy(300, True, 0).should_retry("Host key verification failed.", 0))

    def test_logins_that_fail_never_add_up_to_a_refusal_by_sshd(self):
        # sshd_config(5), PerSourcePenalties: authfail 5 s, min 15 s; a penalty runs down while the next one is added.
        penalty, now, policy = 0.0, 0.0, RetryPolicy(300, True, 0)
        while policy.should_retry(NO_KEY, now):
            penalty += 5
            self.assertLess(penalty, 15)
            penalty = max(0.0, penalty - choose_pause(NO_KEY))
            now += choose_pause(NO_KEY)
        self.assertGreater(now, KEY_SECONDS)

    def test_a_machine_that_starts_is_asked_often(self):
        self.assertLess(choose_pause(REFUSED), choose_pause(NO_KEY))


if __name__ == "__main__":
    unittest.main()
