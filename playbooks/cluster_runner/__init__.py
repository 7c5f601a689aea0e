"""The action plugins' own code. It runs on the runner only and imports nothing of Ansible, so that it is tested without it."""
