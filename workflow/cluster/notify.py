"""Telling somebody how a run on a cluster ended: `webhook` and `mail` of slurm/site.yaml.

The run is over by then, and its results are there. So nothing here fails or waits for long: what
cannot be told in ten seconds is a warning.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from workflow.cluster.site import FILE, Site

SECONDS = 10.0
# `sendmail` is often outside of a user's PATH.
SENDMAIL_FOLDERS = ("/usr/sbin", "/usr/lib")


def notify(site: Site, title: str, text: str) -> list[str]:
    """Tell those that the site's file names.

    Args:
        site: whom to tell; often nobody.
        title: one line.
        text: all there is to say.

    Returns:
        A warning for each that could not be told.
    """
    body = f"{socket.gethostname()}, {Path.cwd()}\n{text}\n"
    found = [
        _post(site.webhook, body) if site.webhook else None,
        _mail(site.mail, title, body) if site.mail else None,
    ]
    return [warning for warning in found if warning]


def mailer() -> str | None:
    """The program that takes this host's mail, `mail` or `sendmail`; None if it has neither."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *SENDMAIL_FOLDERS])
    return shutil.which("mail") or shutil.which("sendmail", path=folders)


def _post(url: str, text: str) -> str | None:
    """Post a text in the form that chat services take; why that failed, if it did."""
    request = urllib.request.Request(
        url,
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
    )
    answers: list[str | None] = []

    def post() -> None:
        try:
            urllib.request.urlopen(request, timeout=SECONDS).close()
            answers.append(None)
        except (OSError, ValueError, http.client.HTTPException) as error:
            answers.append(str(error))

    # A time-out of urllib is for each wait; looking up a name, or a slow answer, would take longer.
    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    thread.join(SECONDS)
    reason = answers[0] if answers else f"no answer in {SECONDS:g} seconds"
    # Who knows the whole address may post there.
    host = urlsplit(url).hostname
    return f"{FILE}: webhook: {host} was not told how the run ended: {reason}" if reason else None


def _mail(address: str, title: str, text: str) -> str | None:
    """Hand a message to the host's own mail; why that failed, if it did."""
    program = mailer()
    if program is None:
        return f"{FILE}: mail: this host has neither `mail` nor `sendmail`; use a webhook"
    if Path(program).name == "mail":
        command, given = [program, "-s", title, address], text.encode()
    else:
        message = EmailMessage()
        message["To"], message["Subject"] = address, title
        message.set_content(text)
        command, given = [program, "-i", "-t"], message.as_bytes()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=SECONDS)
        errors = done.stderr.decode(errors="replace").strip().splitlines()
        reason = (
            ": ".join([f"exit code {done.returncode}", *errors[-1:]]) if done.returncode else ""
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    warning = f"{FILE}: mail: {address} was not told how the run ended: {command[0]}: {reason}"
    return warning if reason else None
