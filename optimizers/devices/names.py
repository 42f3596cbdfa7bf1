"""What devices are called, and whose their measurements are."""

from __future__ import annotations

import re
import unicodedata

from optimizers.errors import UserError

_LONGEST = 60
_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"), ("Opera", r"OPR/(\d+)"), ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"), ("Chrome", r"(?:Chrome|CriOS|HeadlessChrome)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* (?:Mobile/\w+ )?Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("ChromeOS", "CrOS"), ("Windows", "Windows"),
    ("macOS", "Macintosh"), ("Linux", "Linux"),
)  # fmt: skip


def device_name(text: str) -> str:
    """A name as somebody typed it: one line, no control characters, at most 60 characters.

    Raises:
        UserError: Nothing is left of it.
    """
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in unicodedata.normalize("NFC", text))
    name = " ".join(visible.replace("·", " ").split())[:_LONGEST].strip()
    if not name:
        raise UserError("Give the device a name, such as “Anna's phone”; its measurements are shown under it.")
    return name


def labelled(name: str, *how: str) -> str:
    """The name under which measurements are kept, such as ``Anna's phone · Chrome 142 on Android, WebAssembly``.

    What follows the dot is ours, so that nobody's name passes for a machine that measured by itself.
    """
    return f"{device_name(name)} · {', '.join(how)}"


def browser(user_agent: str) -> str:
    """Browser and system in short, such as ``Chrome 142 on Android``, from what the browser tells about itself."""
    found = ((name, re.search(pattern, user_agent)) for name, pattern in _BROWSERS)
    called = next((f"{name} {match[1]}" for name, match in found if match), "a browser")
    where = system(user_agent)
    return f"{called} on {where}" if where else called


def system(user_agent: str) -> str:
    """The operating system or kind of device in a browser's description of itself; empty where unknown."""
    return next((name for name, mark in _SYSTEMS if mark in user_agent), "")


def scope_of_run(run_id: str) -> str:
    """Scope of what other devices measured on a run's files: whoever knows the run's (random) id sees it."""
    return f"run:{run_id}"
