"""Tests of vmm. Helpers shared between test modules are ordinary modules of this package."""
