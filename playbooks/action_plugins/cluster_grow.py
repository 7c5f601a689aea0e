"""Runs the module of the same name through cluster_node."""

from __future__ import annotations

from ansible.plugins.loader import action_loader

ActionModule = action_loader.get("cluster_node", class_only=True)
