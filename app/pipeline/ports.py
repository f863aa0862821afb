"""What the steps of the pipeline need of the world, as small protocols. The adapters fulfil them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from app.core.restores import Restore
from app.core.tasks import Carried, NewTask, OpenTask
from app.model import (
    Change,
    DeliveryFinish,
    DeliveryWork,
    Document,
    EventFinish,
    Identifier,
    NewDelivery,
    Reference,
    ReferenceKey,
)

#: (kind, connection, object id): one business object as one source knows it.
ObjectKey = tuple[str, str, str]


class Transaction(Protocol):
    """One transaction of the ledger: all of it is written, or none."""

    def lock_objects(self, keys: Iterable[ObjectKey]) -> None:
        """Hold others off these objects until the end of the transaction."""

    def foresee(self, keys: Iterable[ObjectKey]) -> None:
        """Learn of these objects before the transaction begins. What begins it may then raise `Outdated`."""

    def heads(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Document]:
        """The newest document that is not stale, of each object that has one."""

    def add_documents(self, documents: Sequence[Document]) -> None:
        """Keep these documents."""

    def add_changes(self, document: Document, changes: Sequence[Change]) -> dict[str, str]:
        """Keep the changes that are new; their ids by key. A key known already is left out."""

    def add_deliveries(self, document: Document, change_id: str, deliveries: Sequence[NewDelivery]) -> int:
        """Keep these deliveries, due now or once they settled; how many older ones were merged into them."""

    def carried(self, key: ObjectKey) -> Sequence[Carried]:
        """The facts of an object with the deliveries that were made for them."""

    def add_tasks(self, document: Document, raised: Sequence[NewTask]) -> None:
        """Keep these tasks for a person. One whose key the object has had before is left out."""

    def open_tasks_of(self, key: ObjectKey, kind: str) -> Sequence[OpenTask]:
        """The open tasks of one kind that an object has, the oldest first."""

    def settle_task(self, task_id: str, note: str) -> None:
        """Close a task that the hub itself found settled; one that is closed stays as it is."""

    def add_identifiers(self, kind: str, connection: str, object_id: str, found: Sequence[Identifier]) -> None:
        """Make the object findable by these numbers."""

    def finish_events(self, token: str, finishes: Sequence[EventFinish]) -> set[str]:
        """Write what became of claimed events; the ids of those the token still held."""

    def finish_deliveries(self, token: str, finishes: Sequence[DeliveryFinish]) -> set[str]:
        """Write what became of claimed deliveries; the ids of those the token still held."""

    def put_reference(self, reference: Reference) -> list[str]:
        """Keep a translation as the current one; the ids of the deliveries that waited for it and are due now."""

    def put_references(self, references: Sequence[Reference]) -> list[str]:
        """`put_reference` for many at once."""

    def count(self, amounts: Mapping[tuple[str, str], float], shard: str) -> None:
        """Add to counters: {(name, labels as JSON): amount}."""


class PipelineLedger(Protocol):
    """The part of the ledger that reading and delivering use."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction: committed at the end of the block, rolled back when it raises."""

    def claim_deliveries(self, connection: str, limit: int, lease_s: float, token: str, /) -> Sequence[DeliveryWork]:
        """Up to `limit` due deliveries whose current call goes to a connection, held by the token for the lease."""

    def restores(self) -> Sequence[Restore]:
        """Each time that the ledger was put back from a backup, the oldest first."""

    def find_references(self, keys: Collection[ReferenceKey]) -> dict[ReferenceKey, Reference]:
        """The current translations of these numbers; what nothing is known of is left out."""
