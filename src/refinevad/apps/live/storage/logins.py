"""Logins of browsers, kept over restarts; of each only the digest of its cookie's secret."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import Login

MOST = 1000  # logins at a time; the oldest go


class LoginLog:
    """Times are Unix seconds, handed in: the service's own clock rules (apps/service/sessions.py)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, login: Login) -> None:
        """Of its user no role is stored: theirs counts, as it is when they are looked at."""
        columns, users = tables.logins.c, tables.users.c
        values = {name: value for name, value in asdict(login).items() if name not in ("user", "role")}
        newest = select(columns.digest).order_by(columns.opened.desc(), columns.digest).limit(MOST)
        with self._database.write() as connection:
            number = connection.execute(select(users.id).where(users.name == login.user)).scalar_one_or_none()
            connection.execute(insert(tables.logins).values(**values, user_id=number))
            connection.execute(delete(tables.logins).where(columns.ends <= login.opened))
            connection.execute(delete(tables.logins).where(columns.digest.not_in(newest.scalar_subquery())))

    def find(self, digest: str) -> Login | None:
        with self._database.read() as connection:
            row = connection.execute(_logins().where(tables.logins.c.digest == digest)).one_or_none()
        return None if row is None else _login(row._asdict())

    def all(self, now: float, user: str | None = None) -> list[Login]:
        """Those that hold at `now`, the newest first; of one user, where one is named."""
        query = _logins().where(tables.logins.c.ends > now).order_by(tables.logins.c.opened.desc())
        if user is not None:
            query = query.where(tables.users.c.name == user)
        with self._database.read() as connection:
            return [_login(row._asdict()) for row in connection.execute(query)]

    def see(self, digest: str, now: float) -> None:
        with self._database.write() as connection:
            connection.execute(update(tables.logins).where(tables.logins.c.digest == digest).values(seen=now))

    def end(self, digest: str) -> bool:
        """Whether there was one."""
        with self._database.write() as connection:
            return connection.execute(delete(tables.logins).where(tables.logins.c.digest == digest)).rowcount == 1

    def end_all(self, user: str, but: str = "") -> None:
        """End a user's logins, but for the one of this digest."""
        columns, users = tables.logins.c, tables.users.c
        theirs = select(users.id).where(users.name == user).scalar_subquery()
        with self._database.write() as connection:
            connection.execute(delete(tables.logins).where(columns.user_id == theirs, columns.digest != but))


def _logins() -> Select[Any]:
    columns, users = tables.logins.c, tables.users.c
    mine = [column for column in columns if column.name != "user_id"]
    joined = tables.logins.outerjoin(tables.users, users.id == columns.user_id)
    return select(*mine, users.name.label("user"), users.role).select_from(joined)


def _login(row: dict[str, Any]) -> Login:
    return Login(**{**row, "role": row["role"] or "admin"})  # of no user: the token's, which may do everything
