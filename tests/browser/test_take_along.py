"""What comes after a comparison, in a browser: keep and delete runs, look inside, deploy, and report."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import pytest

from tests.browser.actions import POINTS, settled

pytestmark = pytest.mark.browser
WINDOWS = pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)]
)


def opened(visitor, path, width, scheme, state=None):
    return visitor(path, state, viewport={"width": width, "height": 900}, color_scheme=scheme)


def downloaded(page, name, folder):
    with page.expect_download() as download:
        page.get_by_role("button", name=name).first.click()
    target = folder / download.value.suggested_filename
    download.value.save_as(target)
    return target


@WINDOWS
def test_a_file_is_looked_into(visitor, finished, width, scheme):
    page = opened(visitor, f"/inspect?{finished}&what=diagnosis", width, scheme)
    page.get_by_text(re.compile("Why not smaller or faster", re.IGNORECASE)).first.wait_for()
    page.get_by_text(re.compile(r"It is [\d.]+x smaller than the baseline")).first.wait_for()


@WINDOWS
def test_a_program_that_was_downloaded_runs_the_file(visitor, finished, tmp_path, width, scheme):
    page = opened(visitor, f"/deploy?{finished}", width, scheme)
    packed = downloaded(page, re.compile(r"Everything \(ZIP\)"), tmp_path)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path)
    (program,) = tmp_path.glob("*.py")
    told = subprocess.run([sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.strip()
    assert list(tmp_path.glob("*.tflite"))


@WINDOWS
def test_a_program_is_shown_when_its_language_is_chosen(visitor, finished, width, scheme):
    page = opened(visitor, f"/deploy?{finished}", width, scheme)
    code = page.get_by_test_id("stCode").filter(visible=True)
    code.filter(has_text="Interpreter(").wait_for()
    for language, word in (("Kotlin", "on Android"), ("Python", "Interpreter(")):
        page.get_by_role("tab", name=language).click()
        code.filter(has_text=word).wait_for()
        assert code.count() == 1


@WINDOWS
def test_a_report_opens_without_a_network(visitor, chromium, finished, tmp_path, width, scheme):
    page = opened(visitor, f"/report?{finished}", width, scheme)
    page.get_by_label("Note").fill("Asked by the board.")
    page.keyboard.press("Tab")
    settled(page)
    report = downloaded(page, re.compile(r"Report \(HTML\)"), tmp_path)
    context = chromium.new_context(offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        alone, asked = context.new_page(), []
        alone.on("request", lambda request: asked.append(request.url))
        alone.goto(report.as_uri())
        alone.wait_for_function(POINTS)
        alone.get_by_text("Asked by the board.").wait_for()
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    finally:
        context.close()


@WINDOWS
def test_runs_are_found_and_deleted_and_come_back(visitor, compared, width, scheme):
    page = opened(visitor, "/runs", width, scheme, compared[1])
    page.get_by_placeholder("Recipe, model, data, tag or note").fill("magnitude")
    page.keyboard.press("Enter")
    settled(page)
    cards = page.get_by_role("button", name=re.compile("More on "))
    before = cards.count()
    assert before == 2, "two of the three recipes prune"
    cards.first.click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("1 run is deleted").wait_for()
    settled(page)
    assert cards.count() == 1
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("1 run is deleted").wait_for(state="detached")
    settled(page)
    assert cards.count() == before


def test_back_leaves_a_page_with_one_step(visitor, finished):
    page = visitor(f"/compare?{finished}")
    for title, completed in (("Inspect", "what="), ("Race", "ask=")):
        page.get_by_test_id("stTopNavLink").filter(has_text=title).click()
        page.wait_for_url(re.compile(f"{title.lower()}.*{completed}"))
        settled(page)
    for title in ("Inspect", "Compare"):
        page.go_back()
        page.wait_for_url(f"**/{title.lower()}?*")
        settled(page)
        page.locator("h1", has_text=title).wait_for()
