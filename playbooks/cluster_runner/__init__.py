"""What decides on the runner: read by the action plugins, sent to no node. Python without Ansible, so that it is tested alone."""
