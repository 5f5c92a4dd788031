"""`vmm bench check`: whether any trap has become dearer than the baseline says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument, option, repeated
from vmm.cli.report import to_json
from vmm.cli.streams import STDOUT, check_target, write_text

WORSE = 1


@dataclass(frozen=True, kw_only=True)
class BenchCheckOptions:
    """What is compared with what."""

    baseline: Path = argument("BASELINE.json", "A report of vmm bench traps --exact --json.", Path)
    class_: list[str] = repeated("NAME", "Only this class, instruction or kernel; may be given again.")
    json: Path | None = option(None, "FILE", "Write the findings there, - for stdout.", Path)


def bench_check(options: BenchCheckOptions) -> int:
    """Count again what BASELINE.json counts, and fail if any exact figure has risen, be it by one.

    What rose is named with its class and with the site, the instruction in the kernel, whose traps rose. A
    figure that fell is told and does not fail: make the baseline anew. Nothing here depends on the host.

    Exit codes: 0 nothing rose, 1 something rose, 2 BASELINE.json cannot be used.

    Examples:

    \b
      vmm bench check bench/baseline.json
      vmm bench traps --exact --json bench/baseline.json
    """
    from vmm.bench import baseline, traps  # noqa: PLC0415 (brings the assembler)

    check_target(options.json)
    before = baseline.load(options.baseline)
    kernels = traps.select(options.class_)
    if options.class_:
        names = {kernel.name for kernel in kernels}
        before["kernels"] = {name: one for name, one in before["kernels"].items() if name in names}
    rows = list(traps.measure(traps.Choice(kernels=kernels)))
    findings = baseline.compare(before, traps.report(rows))
    worse = [finding for finding in findings if finding.worse]
    if options.json is not None:
        write_text(
            options.json, to_json([{"worse": finding.worse, "text": finding.text} for finding in findings])
        )
    if options.json != STDOUT:
        lines = [f"{'worse' if finding.worse else 'note'}: {finding.text}\n" for finding in findings]
        write_text(STDOUT, "".join([*lines, f"{len(rows)} rows counted, {len(worse)} of them rose\n"]))
    return WORSE if worse else 0


COMMAND = Command(BenchCheckOptions, bench_check)
