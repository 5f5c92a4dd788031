"""`vmm run`: boot an image and wait for a sign."""

from __future__ import annotations

from vmm.cli.options import RunOptions
from vmm.cli.report import run_report, to_json
from vmm.cli.session import Session, summary
from vmm.cli.streams import tell, write_text
from vmm.machine import Outcome, RunResult


def run(options: RunOptions) -> int:
    """Boot IMAGE and run it until a sign, its end or a time-out.

    The guest's COM1 goes to stdout as it comes, one line about the end to stderr.

    Examples:

    \b
      vmm run vmlinuz --initrd initrd.gz --append console=ttyS0 --until 'login:'
      vmm run kernel.elf --debug-exit 0xf4 --timeout 10
      vmm run xen.gz --module 'vmlinuz=console=hvc0' --append com1=115200,8n1
      vmm run bios.bin --until 'No bootable device' --screen end.png
      vmm run vmlinuz --initrd initrd.gz --append console=ttyS0 --console
    """
    session = Session(options)
    try:
        result = session.run()
        _say_the_end(session, result)
        if options.json is not None:
            write_text(options.json, to_json(run_report(session.machine, result, options, session.code)))
    finally:
        session.close()
    return session.code


def _say_the_end(session: Session, result: RunResult) -> None:
    if result.outcome is Outcome.DIED and result.diagnosis is not None:
        from vmm.console import purple  # noqa: PLC0415 (most guests live, and rich is slow to import)

        purple.show(result.diagnosis.cause, result.diagnosis.sections())
    if note := session.trace_note():
        tell(note)
    tell(summary(session.machine, result))
