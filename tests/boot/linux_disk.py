"""A disk with Debian's kernel, an ext4 root and GRUB, as an installer would have left it."""

from __future__ import annotations

from pathlib import Path

from tests import disk_images, initramfs, kernel_modules, packages

PROMPT = "root@disk:"
SIZE = 96 << 20

_INITRD = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in $(cat /lib/modules/order); do insmod /lib/modules/$module; done
n=0
while [ ! -b {root} ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
mkdir /new
mount -t ext4 {root} /new || exec sh
mount --move /dev /new/dev
mount --move /proc /new/proc
mount --move /sys /new/sys
exec switch_root /new /sbin/init
"""
_INIT = f"""\
#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -F /dev/ttyS0 -echo
while printf '{PROMPT} ' && read -r line; do eval "$line"; done
"""
_GRUB_CFG = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry "Linux" {
    echo "GRUB loads Linux"
    linux /boot/vmlinuz root=/dev/sda1 console=ttyS0 panic=-1
    initrd /boot/initrd.gz
}
"""


def initrd(root: str, adapter: str) -> bytes:
    """An initramfs that mounts `root` behind the driver `adapter` and goes there."""
    modules = kernel_modules.with_dependencies([adapter, "sd_mod", "ext4"])
    files = {f"lib/modules/{module.name}": module.read_bytes() for module in modules}
    order = "\n".join(module.name for module in modules).encode()
    image = initramfs.build(_INITRD.format(root=root), {**files, "lib/modules/order": order})
    return image.read_bytes()


def build(folder: Path, adapter: str = "mptspi") -> Path:
    """The disk's raw image, made in `folder`."""
    busybox = packages.require("busybox-static", "bin/busybox").read_bytes()
    kernel = packages.require("linux-image-amd64", "boot/vmlinuz-*").read_bytes()
    files: dict[str, bytes | str] = {
        "bin/busybox": busybox,
        **{f"bin/{name}": "/bin/busybox" for name in initramfs.applets() if name != "busybox"},
        "sbin/init": _INIT.encode(),
        "etc/hostname": b"disk\n",
        "boot/vmlinuz": kernel,
        "boot/initrd.gz": initrd("/dev/sda1", adapter),
        "boot/grub/grub.cfg": _GRUB_CFG.encode(),
        **{f"{name}/.keep": b"" for name in ("dev", "proc", "sys", "tmp", "root", "mnt")},
    }
    partition = disk_images.ext4(folder / "root.img", SIZE, files, folder)
    boot, core = disk_images.grub(folder)
    disk = disk_images.partitioned(folder / "disk.img", partition, boot, core)
    partition.unlink()
    return disk
