"""A real syslog receiver as the audit repository: rsyslog, by TLS with certificates on both sides, or in the clear."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Certificates
from tests.processes import Daemon, find_program, free_port, listens, running

# Only who shows a certificate of the authority may send; framing is by octet count where it is counted.
_TLS = """\
global(defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{folder}/authority.pem"
    defaultNetstreamDriverCertFile="{folder}/PACS.pem" defaultNetstreamDriverKeyFile="{folder}/PACS-key.pem")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
"""
_PLAIN = 'module(load="imtcp")\nmodule(load="imudp")\ninput(type="imudp" port="{port}" address="127.0.0.1")\n'
_REST = """\
global(maxMessageSize="64k" workDirectory="{work}")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="as-it-came" type="string" string="%rawmsg%\\n")
action(type="omfile" file="{file}" template="as-it-came")
"""
SEQUENCE = re.compile(rb'\[meta sequenceId="(\d+)"\]')


@dataclass(frozen=True)
class Repository:
    """A running receiver; ``daemon`` can be killed and started again."""

    port: int
    daemon: Daemon
    file: Path

    @property
    def messages(self) -> list[bytes]:
        """What it has written, as it came over the wire, in the order of arrival."""
        content = self.file.read_bytes() if self.file.exists() else b""
        return [line for line in content.split(b"\n") if line.startswith(b"<8")]

    @property
    def sequence(self) -> list[int]:
        """Numbers of the rows that it has got."""
        return [int(found[1]) for line in self.messages if (found := SEQUENCE.search(line))]


@contextmanager
def rsyslog(folder: Path, certificates: Certificates | None = None) -> Iterator[Repository]:
    """A receiver on a free port."""
    folder.mkdir(exist_ok=True)
    port, options, file = free_port(), folder / "rsyslog.conf", folder / "received"
    (folder / "work").mkdir()
    first = _PLAIN.format(port=port) if certificates is None else _TLS.format(folder=certificates.folder)
    options.write_text(first + _REST.format(work=folder / "work", port=port, file=file), encoding="utf-8")
    command = [find_program("/usr/sbin/rsyslogd"), "-n", "-f", str(options), "-i", str(folder / "pid")]
    with running(command, folder, lambda: listens(port)) as daemon:
        yield Repository(port, daemon, file)
