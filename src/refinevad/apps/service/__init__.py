"""The service: REST, websocket and metrics over the engine and the store, and the page in a browser."""
