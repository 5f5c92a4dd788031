"""Scan before execution without running a guest: the instruction table, inline forms, the static walk."""
