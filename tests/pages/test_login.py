"""With sign-in configured, nobody sees a page without it, and what belongs to a user is the user's."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from optimizers import sessions
from tests.pages.conftest import APP, shown

AUTH = {"auth": {"client_id": "a", "client_secret": "b", "server_metadata_url": "https://id.example/.well-known"}}


def visit(user=None, secrets=AUTH):
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.secrets.update(secrets)
    app.user.clear()
    app.user.update({"is_logged_in": False} if user is None else {"is_logged_in": True, **user})
    return app.run()


def test_who_has_not_signed_in_sees_a_button_and_nothing_else(queue):
    app = visit()
    assert [button.label for button in app.button] == ["Sign in"]
    assert "Sign in to optimize models" in shown(app)
    named = {"auth": {"redirect_uri": "x", "google": AUTH["auth"], "okta": AUTH["auth"]}}
    assert [button.label for button in visit(secrets=named).button] == ["Sign in with Google", "Sign in with Okta"]


def test_an_identity_without_a_subject_is_nobody(queue):
    assert [button.label for button in visit({"email": "a@example.org"}).button] == ["Sign in"]


@pytest.mark.parametrize("other", [{"sub": "2"}, {"iss": "https://other.example"}])
def test_runs_belong_to_the_user_in_whatever_browser(queue, other):
    me = {"iss": "https://id.example", "sub": "1", "email": "me@example.org"}
    app = visit(me)
    assert "Signed in as me@example.org" in [text.value for text in app.text]
    next(button for button in app.button if button.key == "try").click().run()
    mine = queue.history.runs()
    assert mine
    queue.wait([run.id for run in mine])
    assert set(sessions.remembered("https://id.example#1", queue.settings)) == {run.id for run in mine}
    assert "finished" in shown(visit(me)) or "Where you left off" in shown(visit(me))
    assert "Where you left off" not in shown(visit(me | other))


def test_scopes_of_browsers_and_users_never_meet():
    token = sessions.new_token()
    assert sessions.scope_of(token).startswith("session:")
    assert sessions.scope_of(f"https://id.example#{token}").startswith("user:")
