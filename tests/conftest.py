"""Rules for the whole test run: deterministic examples, `VMM_FUZZ=long` for the long form, no skip in CI."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("short", derandomize=True, database=None, deadline=None, max_examples=100)
settings.register_profile("long", derandomize=True, database=None, deadline=None, max_examples=10_000)
settings.load_profile("long" if os.environ.get("VMM_FUZZ") == "long" else "short")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn every skip into a failure where `CI` is set: a test skipped there for ever would prove nothing."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid}: skipped in CI: {call.excinfo.value if call.excinfo else 'no reason'}"
        )
    return report
