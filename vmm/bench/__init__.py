"""What virtual machines cost, measured and attributed.

For a user's own guest: `image_profile.py` runs nothing, it reads a machine that has run; `symbols.py` and
`kallsyms.py` name the functions, `cost_model.py` weighs traps, `flame.py` draws them.
"""
