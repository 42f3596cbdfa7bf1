"""What somebody does on a page, and waits for."""

from __future__ import annotations

RUN_MS = 600_000


def settled(page) -> None:
    """Waits until the page's script has run, and has not begun again for a while, as it does late on a busy machine."""
    quiet = 0
    while quiet < 6:
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        page.wait_for_timeout(100)
        ended = page.locator("[data-testid=stApp][data-test-script-state=notRunning]").count()
        quiet = quiet + 1 if ended else 0


def toggle(page, title):
    page.get_by_text(title, exact=True).first.click()
    settled(page)


def press(page, name):
    page.get_by_role("button", name=name).first.click()
    settled(page)


POINTS = """
() => {
    const plot = document.querySelector(".js-plotly-plot");
    const found = (plot?.data ?? []).filter(trace => trace.customdata).flatMap(trace => [...trace.hovertext]);
    return found.length ? found : null;
}
"""


def points(page):
    """Texts of what can be clicked in the first chart, once it is drawn."""
    return page.wait_for_function(POINTS).json_value()
