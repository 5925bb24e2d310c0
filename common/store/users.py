"""Users of the platform."""

from __future__ import annotations

from pymongo.database import Database

from common.ids import new_ulid
from common.store.database import Document


class Users:
    """The `users` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._users = database["users"]

    def by_email(self, email: str) -> Document | None:
        """The user with this e-mail address."""
        return self._users.find_one({"email": email})

    def ensure(
        self, email: str, password_hash: str, role: str, *, must_change_password: bool
    ) -> tuple[str, bool]:
        """Create a user unless there is one; returns the id and whether it is new. A password is never reset."""
        user_id = new_ulid()
        result = self._users.update_one(
            {"email": email},
            {
                "$setOnInsert": {
                    "_id": user_id,
                    "passwordHash": password_hash,
                    "role": role,
                    "mustChangePassword": must_change_password,
                },
                "$currentDate": {"seenBySeedAt": True},
            },
            upsert=True,
        )
        if result.upserted_id is not None:
            self._users.update_one({"_id": user_id}, {"$currentDate": {"createdAt": True, "updatedAt": True}})
            return user_id, True
        known = self.by_email(email)
        return (known["_id"] if known else user_id), False
