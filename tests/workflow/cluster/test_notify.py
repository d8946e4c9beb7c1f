"""Telling how a run ended: to a server of the test's own, and by a `mail` that is a script."""

import http.server
import json
import threading

import pytest

from workflow.base.errors import ConfigError
from workflow.cluster import notify as module
from workflow.cluster.notify import notify
from workflow.cluster.site import Site, load_site

TITLE = "results/paper: 10 runs: 9 done, 1 failed"
TEXT = f"{TITLE}\n  diverged"


@pytest.fixture
def server(monkeypatch):
    """A server that keeps what it is sent, and answers as it is told to, or drop by drop."""
    monkeypatch.setenv("no_proxy", "*")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            for _ in range(listener.drops):  # never silent for long, and never done
                self.wfile.write(b"x")
                listener.over.wait(0.05)
            self.send_response(listener.answer)
            self.end_headers()

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.got, listener.answer, listener.drops = [], 200, 0
    listener.over = threading.Event()
    threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield listener
    listener.over.set()
    listener.shutdown()
    listener.server_close()


def site(server):
    return Site(webhook=f"http://127.0.0.1:{server.server_port}/secret")


def test_nobody_is_told_where_nobody_is_named():
    assert notify(Site(), TITLE, TEXT) == []


def test_a_webhook_is_sent_the_text(server):
    assert notify(site(server), TITLE, TEXT) == []
    ((path, kind, sent),) = server.got
    assert (path, kind) == ("/secret", "application/json")
    assert set(sent) == {"text"}
    assert sent["text"].endswith(f"\n{TEXT}\n")


def test_a_webhook_that_refuses_is_a_warning_without_its_address(server):
    server.answer = 404
    (warning,) = notify(site(server), TITLE, TEXT)
    assert "127.0.0.1 was not told how the run ended: HTTP Error 404" in warning
    assert "secret" not in warning
    server.shutdown()
    server.server_close()
    (warning,) = notify(site(server), TITLE, TEXT)
    assert "refused" in warning


def test_a_webhook_that_does_not_answer_holds_nothing_up(server, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.3)
    server.drops = 100
    (warning,) = notify(site(server), TITLE, TEXT)
    assert warning.endswith("127.0.0.1 was not told how the run ended: no answer in 0.3 seconds")


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(module, "SENDMAIL_FOLDERS", ())
    which = module.shutil.which
    own = lambda name, path=None: which(name, path=str(tmp_path))  # noqa: E731
    monkeypatch.setattr(module.shutil, "which", own)
    return tmp_path


def script(folder, name, text):
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_mail_is_handed_to_the_host(bin_folder):
    script(bin_folder, "mail", f'printf "%s|" "$@" > {bin_folder}/got; cat >> {bin_folder}/got')
    assert notify(Site(mail="me@example.org"), TITLE, TEXT) == []
    got = (bin_folder / "got").read_text()
    assert got.startswith(f"-s|{TITLE}|me@example.org|")
    assert got.endswith(f"\n{TEXT}\n")


def test_sendmail_does_where_there_is_no_mail(bin_folder):
    script(bin_folder, "sendmail", f"cat > {bin_folder}/got")
    assert notify(Site(mail="me@example.org"), TITLE, TEXT) == []
    head, _, body = (bin_folder / "got").read_text().partition("\n\n")
    assert "To: me@example.org" in head
    assert f"Subject: {TITLE}" in head
    assert TEXT in body


def test_mail_that_fails_is_a_warning(bin_folder, monkeypatch):
    me = Site(mail="me@example.org")
    (warning,) = notify(me, TITLE, TEXT)
    assert "neither `mail` nor `sendmail`" in warning
    script(bin_folder, "mail", "echo no such user >&2; exit 3")
    (warning,) = notify(me, TITLE, TEXT)
    assert warning.endswith("exit code 3: no such user")
    script(bin_folder, "mail", "exec sleep 30")
    monkeypatch.setattr(module, "SECONDS", 0.2)
    (warning,) = notify(me, TITLE, TEXT)
    assert "timed out" in warning


@pytest.mark.parametrize("text", ["webhook: hooks.example.org/T0", "mail: -f", "mail: a b"])
def test_what_is_no_address_is_refused(tmp_path, text):
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=text.partition(":")[0]):
        load_site(file)
