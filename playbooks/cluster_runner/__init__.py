"""Code of the action plugins. It runs only on the runner and does not import Ansible, so that tests need none."""
