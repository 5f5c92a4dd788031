"""Explainable scan before execution: each site with its surroundings, reason, treatment and cost.

Reading order: `model.py` (what is told of a site), `collect.py` (from a walk, and a run if there was one),
`listing.py` (disassembly around a site); `html.py`, `sarif.py` and `as_json.py` write it down.
"""
