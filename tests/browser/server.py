"""A JupyterLab server of the tests' own: a loopback port, a token, and nothing of the user's settings."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

#: The kernel of the running environment, and the older one that only a torture campaign installs.
CURRENT, OLDER = "python3", "ipykernel6"
_OLDER_PACKAGES = ("ipykernel==6.31.*", "nest-asyncio==1.6.*")

# No news, no look for updates, no language server; `window.jupyterapp` lets a test speak to Lab itself.
_OPTIONS = (
    "--no-browser",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--LabApp.expose_app_in_browser=True",
    "--LanguageServerManager.autodetect=False",
)
# Lab's debugger complains on the console whenever a kernel is restarted.
_DISABLED = ("@jupyterlab/apputils-extension:announcements", "@jupyterlab/debugger-extension")
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "apputils-extension/themes": {"theme": "JupyterLab Light"},
}


class Server:
    """JupyterLab on the folder `home`/notebooks, in a process of its own, ready when constructed."""

    def __init__(self, home: Path) -> None:
        self.root = home / "notebooks"
        self.root.mkdir(parents=True)
        self._home, self._token = home, secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        for name, settings in _SETTINGS.items():
            self._write(f"settings/@jupyterlab/{name}.jupyterlab-settings", settings)
        self._write(
            "config/labconfig/page_config.json", {"disabledExtensions": dict.fromkeys(_DISABLED, True)}
        )
        self._log = (home / "server.log").open("w")
        options = [f"--ServerApp.port={port}", f"--IdentityProvider.token={self._token}"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *_OPTIONS, *options, f"--ServerApp.root_dir={self.root}"]
            + ["--allow-root"] * (os.name == "posix" and os.geteuid() == 0),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._await_answer(60)

    def page(self, notebook: str) -> str:
        """The address of a notebook in single-document mode; the token in it logs the browser in."""
        return f"{self.url}doc/tree/{notebook}?token={self._token}"

    def log(self) -> str:
        """What the server and its kernels have said."""
        return (self._home / "server.log").read_text(errors="replace")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the REST API answers, None for an empty answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def end_sessions(self, notebook: str) -> None:
        """Shut the kernels of a notebook down."""
        for session in self.ask("GET", "api/sessions"):
            if session["path"] == notebook:
                self.ask("DELETE", f"api/sessions/{session['id']}")

    def add_older_kernel(self) -> str:
        """Offer ipykernel 6: the packages of this environment, only ipykernel itself is older.

        pip puts it into the environment's own folder once; nothing is registered outside this server.
        """
        place = Path(sys.prefix, ".ipykernel6")
        if not (place / ".done").exists():
            options = [
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--upgrade",
                "--target",
                str(place),
            ]
            subprocess.run([sys.executable, "-m", "pip", "install", *options, *_OLDER_PACKAGES], check=True)
            (place / ".done").touch()
        path = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))
        self._write(
            f"data/kernels/{OLDER}/kernel.json",
            {
                "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "Python 3 (ipykernel 6)",
                "language": "python",
                "env": {"PYTHONPATH": path},
            },
        )
        return OLDER

    def close(self) -> None:
        """End the server; it ends its kernels."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _write(self, path: str, content: object) -> None:
        file = self._home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))
        }
        own = {
            "HOME": "home",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        for folder in own.values():
            (self._home / folder).mkdir(exist_ok=True)
        return kept | {name: str(self._home / folder) for name, folder in own.items()}

    def _await_answer(self, limit: float) -> None:
        deadline = time.monotonic() + limit
        while True:
            try:
                self.ask("GET", "api/status")
                return
            except (urllib.error.URLError, ConnectionError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise RuntimeError(f"JupyterLab does not answer. It said:\n{self.log()}") from error
                time.sleep(0.1)
