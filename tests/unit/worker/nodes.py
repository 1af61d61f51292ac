"""A node in this process, on folders of the test's own."""

from pathlib import Path

from worker.settings import load
from worker.wiring import Node, open_node, prepare


def settings_file(folder: Path, ledger_url: str, lines: dict[str, str] | None = None, blocks: str = "") -> Path:
    """A settings file; ``lines`` holds more of them by table, ``blocks`` goes to its end."""
    tables = {
        "receive": f'spool = "{folder}/spool"',
        "series": "quiet_s = 0",
        "engine": 'network = "cubic"',
        "ledger": f'url = "{ledger_url}"',
        "worker": f'results = "{folder}/results"',
    }
    for name, more in (lines or {}).items():
        tables[name] = f"{tables.get(name, '')}\n{more}"
    path = folder / "settings.toml"
    text = "\n\n".join(f"[{name}]\n{text}" for name, text in tables.items())
    path.write_text(f"{text}\n\n{blocks}\n", encoding="utf-8")
    return path


def open_at(folder: Path, ledger_url: str = "", blocks: str = "", **lines: str) -> Node:
    """A node with its ledger's schema made."""
    url = ledger_url or f"sqlite:///{folder / 'ledger.sqlite'}"
    settings = load(settings_file(folder, url, lines, blocks))
    prepare(settings)
    return open_node(settings, "tests")
