"""Tests of the helpers that other tests stand on."""
