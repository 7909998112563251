"""People who may log in, and what they may do."""

import re
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import Role, User
from refinevad.errors import InputError

USER_NAME = re.compile(r"\w(?:[\w .@+-]{0,62}\w)?")  # an e-mail address, too: what proxies tell


class People:
    """Users by name. The first is an admin, and the last admin can be neither removed nor demoted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def all(self) -> list[User]:
        """In order of name."""
        with self._database.read() as connection:
            return [_user(row._asdict()) for row in connection.execute(select(tables.users).order_by("name"))]

    def any(self) -> bool:
        with self._database.read() as connection:
            return connection.execute(select(tables.users.c.id).limit(1)).first() is not None

    def find(self, name: str) -> User | None:
        with self._database.read() as connection:
            row = connection.execute(select(tables.users).where(tables.users.c.name == name)).one_or_none()
        return None if row is None else _user(row._asdict())

    def add(self, name: str, role: Role, password: str | None) -> User:
        """`password`: argon2's hash, or None. Raises InputError where the name is taken, or the first is no admin."""
        if not USER_NAME.fullmatch(name):
            raise InputError(f"user name {name!r}: use at most 64 letters, digits, space, - _ . @ +")
        user = User(name, role, self._clock.now(), password)
        values = {"name": name, "role": role, "added": user.added, "password": password}
        try:
            with self._database.write() as connection:
                connection.execute(insert(tables.users).values(**values))
                _keep_an_admin(connection, "the first user must be an admin, who can add the others")
        except IntegrityError:
            raise InputError(f"there is a user {name!r} already; choose another name") from None
        return user

    def set_role(self, name: str, role: Role) -> None:
        """Raises InputError where there is no such user, or no admin would be left."""
        self._change(name, {"role": role})

    def set_password(self, name: str, password: str | None) -> None:
        """Raises InputError where there is no such user."""
        self._change(name, {"password": password})

    def remove(self, name: str) -> None:
        """Remove a user with their logins; what they said of events stays. Raises InputError as `set_role` does."""
        with self._database.write() as connection:
            gone = connection.execute(delete(tables.users).where(tables.users.c.name == name))
            _require(gone.rowcount, name)
            _keep_an_admin(connection, f"{name!r} is the last admin; make another user one first")

    def _change(self, name: str, values: dict[str, Any]) -> None:
        with self._database.write() as connection:
            changed = connection.execute(update(tables.users).where(tables.users.c.name == name).values(**values))
            _require(changed.rowcount, name)
            _keep_an_admin(connection, f"{name!r} is the last admin; make another user one first")


def _require(rows: int, name: str) -> None:
    if not rows:
        raise InputError(f"there is no user {name!r}")


def _keep_an_admin(connection: Connection, sentence: str) -> None:
    """Raises InputError, which rolls the transaction back, where no admin is left."""
    admins = select(tables.users.c.id).where(tables.users.c.role == "admin").limit(1)
    if connection.execute(admins).first() is None:
        raise InputError(sentence)


def _user(row: dict[str, Any]) -> User:
    return User(row["name"], row["role"], row["added"], row["password"])
