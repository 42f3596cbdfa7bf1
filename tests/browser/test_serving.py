"""The app as it is deployed: below a path of a host, with and with users who sign in."""

from __future__ import annotations

import json
import re
import secrets
import urllib.request

import pytest

from tests.browser.actions import settled
from tests.browser.conftest import ROOT, Server, free_port, visitors
from tests.browser.provider import CLIENT, provider
from tests.browser.proxies import proxy

pytestmark = pytest.mark.browser
BASE = "/tools/paretoscope"
PAGES = ("model", "optimize", "search", "runs", "compare", "inspect", "race", "device", "deploy", "report")


@pytest.fixture(scope="module")
def below(chromium, server, finished):
    """The app below a path, with a proxy in front, over the home of the usual one."""
    app = Server(server.home, BASE)
    app.start()
    with proxy(app.port, BASE) as front:
        yield front
    app.stop()


def test_everything_works_below_a_path_and_nothing_is_asked_outside_it(chromium, below, finished):
    root = f"http://127.0.0.1:{below.port}{BASE}"
    with visitors(chromium, root) as visit:
        page = visit()
        assert {cookie["path"] for cookie in page.context.cookies() if cookie["name"] == "paretoscope_session"} == {
            BASE
        }
        for name in PAGES:
            page.goto(f"{root}/{name}?{finished}&model=sample:digits_cnn&data=sample:optdigits")
            settled(page)
            assert page.get_by_text("could not be shown").count() == 0
        page.goto(f"{root}/compare?{finished}")
        settled(page)
        with page.expect_download() as download:
            page.get_by_role("button", name=re.compile("Download .tflite")).first.click()
        assert download.value.path().stat().st_size > 1000
        page.get_by_role("link", name="This device").click()
        page.wait_for_url(f"{root}/device**")
        page.goto(f"{root}/device?{finished}")
        page.get_by_text("This browser: WebAssembly").wait_for()
        settled(page)
        page.get_by_role("combobox", name="How long").click()
        page.get_by_role("option", name=re.compile("Quick")).click()
        settled(page)
        page.get_by_role("button", name=re.compile("Measure 1 file")).click()
        page.get_by_text("The times were kept").wait_for(timeout=240_000)
    # Streamlit looks for the app's root from a page's address upwards, so it asks for what is not there, but inside.
    assert [path for path in below.refused if not path.startswith(BASE)] == []


def test_health_is_told_at_the_root_and_below_the_path(server, below):
    for root in (server.url, f"http://127.0.0.1:{below.port}{BASE}", f"http://127.0.0.1:{below.target}"):
        with urllib.request.urlopen(f"{root}/healthz") as answer:
            assert answer.read() == b"ok"
        with urllib.request.urlopen(f"{root}/readyz") as answer:
            told = json.load(answer)
        assert told["ready"]
        assert {check["name"] for check in told["checks"]} == {"history", "store", "disk"}


def test_no_page_may_load_from_elsewhere_and_scripts_do_not_see_the_cookie(chromium, server):
    page = chromium.new_page()
    policy = page.goto(server.url).headers["content-security-policy"]
    settled(page)
    assert "default-src 'self'" in policy
    assert "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "paretoscope_session" in {cookie["name"] for cookie in page.context.cookies()}
    assert "paretoscope_session" not in page.evaluate("document.cookie")
    assert page.evaluate("fetch('https://example.org').then(() => 'went out', () => 'refused')") == "refused"
    page.context.close()


@pytest.fixture
def with_login(chromium, tmp_path):
    """The app below a path, where users sign in at a provider on this machine."""
    with provider(free_port()) as who:
        app = Server(tmp_path / "home", BASE, [f"--secrets.files={tmp_path / 'secrets.toml'}"])
        auth = CLIENT | {
            "redirect_uri": f"{app.url}/oauth2callback",
            "cookie_secret": secrets.token_urlsafe(32),
            "server_metadata_url": f"{who.root}/.well-known/openid-configuration",
        }
        lines = ["[auth]", *(f'{name} = "{value}"' for name, value in auth.items())]
        (tmp_path / "secrets.toml").write_text("\n".join(lines))
        app.start()
        yield app
        app.stop()


def signed_in(chromium, root, user):
    page = chromium.new_context().new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{root}/model?model=sample:digits_cnn&data=sample:optdigits")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=user).click()
    page.get_by_text(f"Signed in as {user}@example.org").wait_for()
    page.wait_for_url(re.compile(r"/model\?model=sample(:|%3A)digits_cnn&data="))  # where the link led
    settled(page)
    return page


def test_users_sign_in_and_what_they_bring_is_theirs_in_any_browser(with_login, chromium):
    model = (ROOT / "sample_models/models/digits_cnn.keras").read_bytes()
    file = {"name": "of anna.keras", "mimeType": "application/octet-stream", "buffer": model}
    first = signed_in(chromium, with_login.url, "anna")
    first.goto(f"{with_login.url}/model")
    first.get_by_text("Your own model", exact=True).click()
    settled(first)
    first.locator("input[type=file]").first.set_input_files(file)
    first.get_by_text("of anna.keras").first.wait_for()
    for user, sees in (("anna", True), ("bert", False)):
        page = signed_in(chromium, with_login.url, user)
        page.goto(f"{with_login.url}/model")
        settled(page)
        page.get_by_text("Your own model", exact=True).click()
        settled(page)
        page.get_by_role("combobox", name="Model", exact=True).click() if sees else None
        assert (page.get_by_text("of anna.keras").count() > 0) is sees
        page.context.close()
    first.get_by_role("button", name="Sign out").click()
    first.get_by_role("button", name="Sign in").wait_for()
    first.context.close()
