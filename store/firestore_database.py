"""A connection to Firestore: transactions, retries, and counting what is billed."""

import functools
import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast

import firebase_admin
import grpc
from firebase_admin import credentials
from firebase_admin import firestore as firebase_firestore
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import TransportError
from google.cloud import firestore

from store.interface import CountUsage

# What Google's own clients try again, whatever they were doing.
_TRANSIENT: Final = (
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.RetryError,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
    TransportError,
)
_TRANSACTION_OVER: Final = re.compile(
    r"transaction.*(expired|closed|no longer)", re.IGNORECASE
)
# An outage makes a job wait that long before it gives up; a runner then tries
# the whole bundle again.
_GIVE_UP_AFTER_S: Final = 600.0
# Of one request. A large day takes seconds; a server that hangs is asked again.
_REQUEST_S: Final = 60.0
# The library would try again too, uncounted, and a query from where its fields, of
# which we ask for a few, do not tell.
_ONCE: Final = Retry(predicate=if_exception_type())
_ANSWER_WITHIN_S: Final = 20.0
EMULATOR: Final = "FIRESTORE_EMULATOR_HOST"
_USERS_KNOWN: Final = 100_000

Snapshot: TypeAlias = "firestore.DocumentSnapshot[firestore.DocumentReference]"
_Result = TypeVar("_Result")


class FirestoreDatabase:
    """One user of the process's connection to a database.

    Args:
        project: Google Cloud project.
        database: Name of the database; None for the default one.
        count: Told of documents read and written, and of retries.
    """

    def __init__(self, project: str, database: str | None, count: CountUsage) -> None:
        self.client = _client(project, database, os.environ.get(EMULATOR))
        self._count = count
        self._retry = Retry(
            predicate=_is_transient,
            initial=0.1,
            maximum=10.0,
            multiplier=2.0,
            timeout=_GIVE_UP_AFTER_S,
            on_error=lambda _: count("store_retries", 1),
        )
        # Makes sure that a user has a document, without a write for every photo.
        self.make_user = functools.lru_cache(_USERS_KNOWN)(self._make_user)

    def ask(self) -> None:
        """See that it answers, without waiting for it as others do.

        Raises:
            GoogleAPIError: It does not.
            GoogleAuthError: It may not be asked.
        """
        users = self.client.collection("users").limit(1)
        users.get(retry=_ONCE, timeout=_ANSWER_WITHIN_S)

    def user(self, user_id: str) -> firestore.DocumentReference:
        return self.client.collection("users").document(user_id)

    def get(
        self,
        references: Sequence[firestore.DocumentReference],
        transaction: firestore.Transaction | None = None,
    ) -> list[Snapshot]:
        """Documents in the order of their references; missing ones do not exist."""

        def get_all() -> list[Snapshot]:
            return list(
                self.client.get_all(
                    references,
                    transaction=transaction,
                    retry=_ONCE,
                    timeout=_REQUEST_S,
                )
            )

        # Within a transaction all of it is tried again, not one request: it may
        # have expired meanwhile. (One without writes is empty, hence false.)
        found = get_all() if transaction is not None else self._retry(get_all)()
        self._count("store_reads", len(found))
        by_path = {snapshot.reference.path: snapshot for snapshot in found}
        return [by_path[reference.path] for reference in references]

    def query(
        self,
        query: firestore.Query,
        transaction: firestore.Transaction | None = None,
    ) -> list[Snapshot]:
        """All that a query finds."""

        def get() -> list[Snapshot]:
            return list(
                query.stream(transaction=transaction, retry=_ONCE, timeout=_REQUEST_S)
            )

        found = get() if transaction is not None else self._retry(get)()
        # A query that finds nothing is billed as one document.
        self._count("store_reads", max(1, len(found)))
        return found

    def aggregate(self, query: firestore.Query, total: str | None = None) -> list[int]:
        """How many documents a query finds, and the sum of their field `total`."""
        aggregation = query.count(alias="count")
        if total is not None:
            aggregation = aggregation.sum(total, alias="total")
        (results,) = self._retry(aggregation.get)(retry=_ONCE, timeout=_REQUEST_S)
        self._count("store_reads", 1)
        by_alias = {result.alias: int(result.value or 0) for result in results}
        return [by_alias["count"], by_alias.get("total", 0)]

    def unchanged_since(self, version: Any) -> firestore.WriteOption | None:
        """Condition of a write: the document is of this version, if one is given."""
        if version is None:
            return None
        return self.client.write_option(last_update_time=version)

    def transact(
        self, change: Callable[[firestore.Transaction], _Result]
    ) -> tuple[_Result, list[Any]]:
        """Make a change whole or not at all, and again where others interfered.

        Args:
            change: Reads in the transaction it is given, then writes to it; may be
                called several times.

        Returns:
            What `change` returned, and the results of its writes.
        """

        def attempt() -> tuple[_Result, list[Any]]:
            # The library's own further attempts do not wait, nor are they counted.
            transaction = self.client.transaction(max_attempts=1)
            try:
                returned = firestore.transactional(change)(transaction)
            except Exception as err:
                raise _first_error(err) from None
            return cast(_Result, returned), transaction.write_results or []

        returned, written = self._retry(attempt)()
        self._count("store_writes", len(written))
        return returned, written

    def _make_user(self, user_id: str) -> None:
        reference = self.user(user_id)
        (known,) = self.get([reference])
        if known.exists:
            return
        try:
            self._retry(reference.create)(
                {"id": user_id, "email": None}, retry=_ONCE, timeout=_REQUEST_S
            )
            self._count("store_writes", 1)
        except exceptions.AlreadyExists:
            pass  # another process was faster

    def update(
        self, reference: firestore.DocumentReference, fields: dict[str, Any]
    ) -> None:
        """Change some fields of a document, unless it is gone."""
        try:
            self._retry(reference.update)(fields, retry=_ONCE, timeout=_REQUEST_S)
            self._count("store_writes", 1)
        except exceptions.NotFound:
            pass

    def set(
        self, reference: firestore.DocumentReference, fields: dict[str, Any]
    ) -> None:
        """Write some fields of a document, which need not exist."""
        self._retry(reference.set)(fields, merge=True, retry=_ONCE, timeout=_REQUEST_S)
        self._count("store_writes", 1)


class _EmulatorCredentials(credentials.Base):
    """None: the emulator asks nobody who they are."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()


# Several threads would make the same app, which is an error.
_CONNECTING: Final = threading.Lock()


def _client(
    project: str, database: str | None, emulator: str | None
) -> firestore.Client:
    with _CONNECTING:
        return _only_client(project, database, emulator)


# One connection a process, whatever the number of steps and threads. By the
# emulator's address too, which tests change.
@functools.cache
def _only_client(
    project: str, database: str | None, emulator: str | None
) -> firestore.Client:
    credential = (
        _EmulatorCredentials() if emulator else credentials.ApplicationDefault()
    )
    # Before there is an app, which would stay, and be in the way of the next try.
    credential.get_credential()
    app = firebase_admin.initialize_app(
        credential,
        {"projectId": project},
        name=f"piccl-{project}-{database}-{emulator}",
    )
    return firebase_firestore.client(app, database)


def _first_error(err: BaseException) -> BaseException:
    """What went wrong in a transaction, before what the library made of it.

    It says with a ValueError that its attempts are used up or that there was nothing
    to roll back yet, and with an error of its own that it could not roll back.
    """
    first: BaseException = err
    known: BaseException | None = err
    while known is not None:
        if not isinstance(known, grpc.RpcError):
            first = known
        context = None if known.__suppress_context__ else known.__context__
        known = known.__cause__ or context
    return first


def _is_transient(err: BaseException) -> bool:
    if isinstance(err, exceptions.InvalidArgument):
        # So the server says that a transaction took too long, or that its commit
        # arrived twice; the emulator begins with a capital.
        return _TRANSACTION_OVER.search(str(err)) is not None
    return isinstance(err, _TRANSIENT)
