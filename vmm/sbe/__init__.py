"""Scan before execution, the side of it that runs no guest: the instruction table, inline forms, the static walk."""
