"""Firebase ID tokens: who somebody is, as Google signed it."""

from collections.abc import Callable, Mapping
from typing import Any

import firebase_admin
from firebase_admin import auth, credentials
from google.auth.credentials import AnonymousCredentials
from werkzeug.exceptions import ServiceUnavailable, Unauthorized

from store.records import valid_user_id


class _NoCredentials(credentials.Base):
    """Google's public certificates are for everybody."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()


def token_verifier(project: str) -> Callable[[str], Mapping[str, Any]]:
    """What tells the claims of an ID token that was issued for a project.

    It raises Unauthorized for any other one. The texts of the library are not passed
    on, as some of them quote the token.
    """
    name = f"piccl-review-{project}"
    try:
        app = firebase_admin.get_app(name)
    except ValueError:
        app = firebase_admin.initialize_app(
            _NoCredentials(), {"projectId": project}, name=name
        )

    def verify(token: str) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = auth.verify_id_token(token, app=app)
        except auth.ExpiredIdTokenError as err:
            raise Unauthorized("the ID token has expired") from err
        except auth.CertificateFetchError as err:
            raise ServiceUnavailable("Google's certificates do not come") from err
        except (auth.InvalidIdTokenError, ValueError) as err:
            raise Unauthorized(f"no ID token of {project}") from err
        if not valid_user_id(claims["uid"]):
            raise Unauthorized("the ID token is of no user that can be stored")
        return claims

    return verify
