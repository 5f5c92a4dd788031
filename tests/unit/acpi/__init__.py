"""Tests of the ACPI and MP tables."""
