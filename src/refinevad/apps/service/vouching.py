"""Single sign-on: a proxy that was named says in a header who is logged in there; nobody else can say so."""

from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

USER = "refinevad.vouched"  # key of the scope


class Vouching:
    """ASGI middleware that takes the header out of every request and, where a proxy of ours sent it, keeps the name."""

    def __init__(self, app: ASGIApp, header: str, proxies: tuple[str, ...]) -> None:
        """`proxies`: addresses and networks."""
        self._app, self._header = app, header.lower().encode("latin-1")
        self._proxies = [ip_network(proxy, strict=False) for proxy in proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name.lower() == self._header]
        rest = [(name, value) for name, value in scope["headers"] if name.lower() != self._header]
        scope = {**scope, "headers": rest}
        if len(given) == 1 and self._is_proxy(scope):  # two of them: one came from further away
            scope[USER] = given[0].decode("utf-8", "replace").strip()
        await self._app(scope, receive, send)

    def _is_proxy(self, scope: Scope) -> bool:
        try:
            address = ip_address(str((scope.get("client") or ("",))[0]).partition("%")[0])
        except ValueError:
            return False
        return any(address in proxy for proxy in self._proxies)
