"""Whole machines: kernels of our own and of others, booted through the command line and through `Machine`."""
