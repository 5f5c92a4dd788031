"""Tests of single parts, without a guest that runs."""
