"""Which process holds a job."""

import psutil
from sqlalchemy import select

from dicom_node.ledger.tables import job
from tests.faults.kit.cluster import Cluster
from tests.nodes import Node


def owner_of(node: Node) -> int:
    """Process id of whoever holds the newest job; 0 where nobody does."""
    ledger = node.ledger()
    with ledger.reading() as connection:
        owner = connection.execute(select(job.c.owner).order_by(job.c.id.desc()).limit(1)).scalar()
    ledger.close()
    return int(owner.rsplit("/", 2)[1]) if owner else 0


def holder_of(cluster: Cluster) -> str:
    """Name of the part that holds the newest job, itself or by a process that it started; empty where none does."""
    owner = owner_of(cluster)
    found = (name for name, part in cluster.parts.items() if owner in {item.pid for item in family(part.pid)})
    return next(found, "")


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]
