"""What is in a store, read past it, and in one form whatever keeps it."""

import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from google.cloud import firestore

TABLES: Final = ("users", "photos", "tags", "deletions", "tombstones", "trash")

# What a photo's document repeats of others, and what finds decisions to settle.
ONLY_FIRESTORE: Final = {
    "photos": ("detector", "judged", "outcome", "settled_decision"),
}
# A snapshot of documents in one store, of rows in the other.
_SNAPSHOT: Final = "rows"

Row = dict[str, Any]


class Tables(ABC):
    """Rows as dicts; true is 1, dates that wait are a list, times are datetimes."""

    @abstractmethod
    def rows(self, table: str, user_id: str | None = None) -> list[Row]:
        """Of one user or all, by user, id and run."""

    def row(self, table: str, id_: str = "a") -> Row:
        (found,) = (row for row in self.rows(table) if row["id"] == id_)
        return found

    def everything(self) -> dict[str, list[Row]]:
        return {table: self.rows(table) for table in TABLES}

    def documents(self, user_id: str) -> dict[str, list[Row]]:
        """A user's photos, without the user and the clock."""
        return {
            table: [
                {k: v for k, v in row.items() if k not in ("user_id", "analysed_at")}
                for row in self.rows(table, user_id)
            ]
            for table in ("photos", "tags", "deletions")
        }


class SqliteTables(Tables):
    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, table: str, user_id: str | None = None) -> list[Row]:
        user = "id" if table == "users" else "user_id"
        order = f"{user}, id, run" if table == "trash" else f"{user}, id"
        with closing(sqlite3.connect(self._path)) as db:
            db.row_factory = sqlite3.Row
            found = [
                dict(row)
                for row in db.execute(
                    f"""SELECT * FROM {table}
                        WHERE {user} = coalesce(?, {user}) ORDER BY {order}""",
                    (user_id,),
                )
            ]
        for row in found:
            if "pending_dates" in row:
                row["pending_dates"] = json.loads(row["pending_dates"])
            if table == "trash":
                del row[_SNAPSHOT]
                row["files"] = json.loads(row["files"])
            for column in {"analysed_at", "expires_at"} & row.keys():
                row[column] = datetime.fromisoformat(row[column])
        return found


class FirestoreTables(Tables):
    def __init__(self, db: firestore.Client) -> None:
        self._db = db

    def rows(self, table: str, user_id: str | None = None) -> list[Row]:
        documents: Any = self._db.collection_group(table)
        if user_id is not None:
            documents = self._db.collection(f"users/{user_id}/{table}")
        found = []
        for document in documents.stream():
            row = document.to_dict()
            # The path rules who may read it, so it has to tell the truth.
            path = f"{table}/{row['id']}"
            if table == "trash":
                path = f"trash/{row['run']}.{row['id']}"
                del row[_SNAPSHOT]
            if table != "users":
                path = f"users/{row['user_id']}/{path}"
            assert document.reference.path == path
            for column in ONLY_FIRESTORE.get(table, ()):
                del row[column]
            found.append(row)
        return sorted(
            found,
            key=lambda row: (row.get("user_id", ""), row["id"], row.get("run", "")),
        )
