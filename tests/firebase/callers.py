"""Those who ask Firestore for documents, as its rules tell them apart.

The emulator obeys rules only for requests that carry a user's token or none. Clients
of the server libraries, whatever credentials they are given, say `Bearer owner` to
it, which passes the rules by; so requests are made by hand here.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import requests

from demo.emulators import Emulators

Value = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """Somebody who asks Firestore for something, and the statuses of the answers.

    Attributes:
        database: Its address.
        headers: Who asks.
    """

    database: str
    headers: dict[str, str]

    def get(self, path: str) -> int:
        return self._ask("GET", f"/{path}")

    def fields(self, path: str) -> dict[str, Value]:
        answer = requests.get(
            f"{self.database}/{path}", headers=self.headers, timeout=60
        )
        answer.raise_for_status()
        fields: dict[str, Value] = answer.json()["fields"]
        return fields

    def update(self, path: str, fields: dict[str, Value]) -> int:
        """Set these fields and no other, in a document that may not be there."""
        names = "&".join(f"updateMask.fieldPaths={name}" for name in fields)
        return self._ask("PATCH", f"/{path}?{names}", {"fields": fields})

    def clear(self, path: str, field: str) -> int:
        return self._ask("PATCH", f"/{path}?updateMask.fieldPaths={field}", {})

    def replace(self, path: str, fields: dict[str, Value]) -> int:
        return self._ask("PATCH", f"/{path}", {"fields": fields})

    def create(self, path: str, fields: dict[str, Value]) -> int:
        collection, _, name = path.rpartition("/")
        return self._ask("POST", f"/{collection}?documentId={name}", {"fields": fields})

    def delete(self, path: str) -> int:
        return self._ask("DELETE", f"/{path}")

    def query(self, parent: str, collection: str, **query: Any) -> int:
        start = {"collectionId": collection, "allDescendants": not parent}
        body = {"structuredQuery": {"from": [start], **query}}
        return self._ask("POST", f"{parent and '/' + parent}:runQuery", body)

    def count(self, parent: str, collection: str) -> int:
        counted = {
            "structuredQuery": {"from": [{"collectionId": collection}]},
            "aggregations": [{"count": {}, "alias": "photos"}],
        }
        body = {"structuredAggregationQuery": counted}
        return self._ask("POST", f"/{parent}:runAggregationQuery", body)

    def _ask(self, method: str, path: str, body: Any = None) -> int:
        return requests.request(
            method, self.database + path, json=body, headers=self.headers, timeout=60
        ).status_code


@dataclass(frozen=True)
class Callers:
    """Attributes: admin: Whom no rule holds for. other: A user, signed in too."""

    admin: Caller
    owner: Caller
    other: Caller
    anonymous: Caller

    def strangers(self) -> tuple[Caller, Caller]:
        return self.other, self.anonymous


def unsigned_token(user_id: str) -> str:
    """What Firebase gives one who signs in, but unsigned, as only emulators take it."""
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": user_id, "user_id": user_id})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
    return ".".join(part.decode().rstrip("=") for part in encoded) + "."


def compile_rules(emulators: Emulators, project: str, rules: str) -> requests.Response:
    host = emulators.environment["FIRESTORE_EMULATOR_HOST"]
    return requests.put(
        f"http://{host}/emulator/v1/projects/{project}:securityRules",
        json={"rules": {"files": [{"name": "the.rules", "content": rules}]}},
        timeout=60,
    )
