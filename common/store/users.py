"""Users of the platform, and the tokens of theirs that count no more."""

from __future__ import annotations

from datetime import datetime

from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from common.clock import utc_now
from common.ids import new_ulid
from common.store.database import Document


class Users:
    """The `users` and `revoked_tokens` collections."""

    def __init__(self, database: Database[Document]) -> None:
        self._users = database["users"]
        self._revoked = database["revoked_tokens"]

    def by_email(self, email: str) -> Document | None:
        """The user with this e-mail address (as it is stored: lower case)."""
        return self._users.find_one({"email": email})

    def of_token(self, user_id: str, token_id: str, version: object) -> Document | None:
        """The user whom a token names, unless it was revoked, by itself or with all of theirs."""
        user = self._users.find_one({"_id": user_id})
        if user is None or isinstance(version, bool) or version != user.get("tokenVersion", 0):
            return None
        if self._revoked.find_one({"_id": token_id}, {"_id": 1}) is not None:
            return None
        return user

    def revoke(self, token_id: str, expires_at: datetime) -> None:
        """The token counts no more. The note is kept until it would have ended anyway."""
        self._revoked.update_one({"_id": token_id}, {"$set": {"expiresAt": expires_at}}, upsert=True)

    def revoke_all(self, user_id: str) -> None:
        """None of the user's tokens counts any more."""
        self._users.update_one(
            {"_id": user_id}, {"$inc": {"tokenVersion": 1}, "$currentDate": {"updatedAt": True}}
        )

    def create(self, user_id: str, email: str, password_hash: str) -> Document | None:
        """A new user of role USER; None where the address is taken. Repeated with the same id, the same user."""
        now = utc_now()
        user = {
            "_id": user_id,
            "email": email,
            "passwordHash": password_hash,
            "role": "USER",
            "mustChangePassword": False,
            "tokenVersion": 0,
            "createdAt": now,
            "updatedAt": now,
        }
        try:
            self._users.insert_one(user)
        except DuplicateKeyError:
            return self._users.find_one({"_id": user_id})
        return user

    def logged_in(self, user_id: str) -> None:
        """Remember when somebody last signed in."""
        self._users.update_one({"_id": user_id}, {"$currentDate": {"lastLoginAt": True}})

    def set_password(self, user_id: str, old_hash: str, new_hash: str) -> Document | None:
        """Replace the password and revoke all tokens; None where somebody else has changed it meanwhile."""
        return self._users.find_one_and_update(
            {"_id": user_id, "passwordHash": old_hash},
            {
                "$set": {"passwordHash": new_hash, "mustChangePassword": False},
                "$inc": {"tokenVersion": 1},
                "$currentDate": {"updatedAt": True},
            },
            return_document=ReturnDocument.AFTER,
        )

    def ensure(
        self, email: str, password_hash: str, role: str, *, must_change_password: bool
    ) -> tuple[str, bool]:
        """Create a user unless there is one; returns the id and whether it is new. A password is never reset."""
        user_id, now = new_ulid(), utc_now()
        result = self._users.update_one(
            {"email": email},
            {
                "$setOnInsert": {
                    "_id": user_id,
                    "passwordHash": password_hash,
                    "role": role,
                    "mustChangePassword": must_change_password,
                    "tokenVersion": 0,
                    "createdAt": now,
                    "updatedAt": now,
                },
            },
            upsert=True,
        )
        if result.upserted_id is not None:
            return user_id, True
        known = self.by_email(email)
        return (known["_id"] if known else user_id), False

    def with_default_password(self) -> list[str]:
        """The addresses of the accounts that still have the password they were created with."""
        found = self._users.find({"mustChangePassword": True}, {"email": 1}).sort("email", 1)
        return [user["email"] for user in found]
