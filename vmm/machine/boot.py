"""From an image and options to a virtual machine that stands before its first instruction."""

from __future__ import annotations

from vmm.errors import UsageError
from vmm.loader import BootPlan, acpi, fwcfg, load, memory_map
from vmm.loader.acpi import mptable
from vmm.machine.options import MachineOptions
from vmm.machine.policies import set_policies
from vmm.monitor import Boot, CpuMode, Monitor

_MODES = {
    "reset": CpuMode.RESET,
    "real": CpuMode.REAL,
    "protected": CpuMode.PROTECTED,
    "long": CpuMode.LONG,
}


def power_on(options: MachineOptions) -> tuple[Monitor, BootPlan]:
    """Read the image, then make the VM and load it; a bad image costs no VM."""
    tables = acpi.build(options.cpus)
    plan = load(options.image, options.request(tables))
    if plan.rom is None and any(nic.rom for nic in options.nics):
        raise UsageError(f"a NIC's rom= is for firmware to run, and {options.image} is booted without any")
    if options.boot is not None and plan.rom is None:
        raise UsageError("--boot is for firmware; this image is booted itself")
    monitor = Monitor(options.config())
    try:
        _load(monitor, plan, options, tables)
    except BaseException:
        monitor.close()
        raise
    return monitor, plan


def _load(monitor: Monitor, plan: BootPlan, options: MachineOptions, tables: acpi.AcpiTables) -> None:
    if plan.rom is not None:
        monitor.set_rom(plan.rom)
    else:
        # Firmware makes these itself, from what fw_cfg tells it.
        for address, data, _ in [*tables.blobs, *mptable.build(options.cpus)]:
            monitor.ram_write(address, data)
    for blob in plan.blobs:
        monitor.ram_write(blob.address, blob.data)
    for key, data in fwcfg.build(options.cpus, memory_map(options.memory), files=options.firmware_files()):
        monitor.add_fwcfg(key, data)
    set_policies(monitor, options.policies)
    monitor.boot(_boot_state(plan))


def _boot_state(plan: BootPlan) -> Boot:
    cpu = plan.cpu
    return Boot(
        mode=_MODES[cpu.mode],
        entry=cpu.entry,
        registers=cpu.registers,
        cr3=cpu.cr3,
        gdt_base=cpu.gdt_base,
        gdt_limit=cpu.gdt_limit,
        cs=cpu.cs,
        ds=cpu.ds,
    )
