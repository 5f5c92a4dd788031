"""The display as the user sees it.

Rendering is imported where it is used: it brings Pillow, which a run that saves no screen need not wait for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vmm.errors import HostError, UsageError, one_line
from vmm.monitor import Monitor

if TYPE_CHECKING:
    from vmm.console.screen import TextScreen


class Screen:
    """The VGA text screen at this moment."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    @property
    def text(self) -> str:
        """The characters, one line a row; empty in a graphics mode."""
        from vmm.console.screen import render_text  # noqa: PLC0415

        return render_text(self.capture())

    def capture(self) -> TextScreen:
        """Everything `vmm.console.screen` draws from."""
        from vmm.console.screen import TextScreen  # noqa: PLC0415

        raw = self._monitor.screen()
        return TextScreen(**raw._asdict())

    def save(self, path: str | Path) -> None:
        """Write `.txt` (UTF-8) or `.png`; UsageError for another name or a graphics mode, HostError if it
        cannot be written."""
        from vmm.console.screen import render_png  # noqa: PLC0415

        path = check_screen_path(Path(path))
        if path.suffix.lower() == ".png":
            content = render_png(self.capture(), self._monitor.screen_font())
        else:
            content = (self.text + "\n").encode("utf-8")
        try:
            path.write_bytes(content)
        except OSError as error:
            raise HostError(one_line(f"{path}: cannot write the screen: {error.strerror}")) from None


def check_screen_path(path: Path) -> Path:
    """`path` if its name says what to write; UsageError otherwise."""
    if path.suffix.lower() not in (".txt", ".png"):
        raise UsageError(one_line(f"{path}: a screen is saved as .txt or .png"))
    return path
