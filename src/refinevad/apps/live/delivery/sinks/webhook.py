"""POST of each envelope to a URL, signed, rate-limited; what fails is kept and tried again (courier.py).

    X-RefineVAD-Envelope: id of the envelope, the same at each attempt
    X-RefineVAD-Timestamp: Unix second of this attempt
    X-RefineVAD-Signature: v1=<hex HMAC-SHA256 of timestamp, a full stop, and the body's bytes>

A receiver computes the signature itself, compares in constant time, and refuses timestamps further than five minutes
from its own clock: an old request cannot be played again after that, and within it the envelope's id tells a double.
`verify` does so. Answers: 2xx takes it; 408, 429, 5xx, redirects (which are not followed) and no answer are tried
again; any other 4xx is final.
"""

import hashlib
import hmac
import http.client
import json
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from typing import Any

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.delivery.sinks.base import DeliveryError, RefusedError
from refinevad.apps.live.delivery.sinks.rate import TokenBucket
from refinevad.apps.live.envelope import Envelope, Notice
from refinevad.apps.live.settings.addresses import mask
from refinevad.apps.live.settings.sink_options import WebhookOptions
from refinevad.errors import InputError

REPLAY_WINDOW_S = 300
_AGAIN = frozenset((408, 429))


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Value of X-RefineVAD-Signature."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"v1={digest}"


def verify(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> bool:
    """What a receiver does: whether the body was signed with this secret, within the replay window of `now`."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        return False
    genuine = hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode("utf-8", "replace"))
    return genuine and abs(now - int(timestamp)) <= REPLAY_WINDOW_S


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Signed events go where they were addressed, nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class WebhookSink:
    """One URL."""

    def __init__(self, options: WebhookOptions, clock: Clock) -> None:
        """Raises InputError where the URL is not http or https."""
        self.name, self._options, self._clock = options.name, options, clock
        if not options.url.reveal().startswith(("http://", "https://")):
            raise InputError(f"sink {options.name!r}: a webhook's URL begins with http:// or https://")
        self._shown = mask(options.url.reveal())
        self._bucket = TokenBucket(options.rate_per_minute / 60, options.burst, clock)
        self._opener = urllib.request.build_opener(_NoRedirect)

    def deliver(self, envelope: Envelope) -> None:
        self._post(envelope)

    def tell(self, notice: Notice) -> None:
        self._post(notice)

    def _post(self, envelope: Envelope | Notice) -> None:
        if wait := self._bucket.take():
            raise DeliveryError("more events than its rate allows", retry_after_s=wait)
        body = json.dumps(envelope, ensure_ascii=False, allow_nan=False).encode()
        timestamp = str(int(self._clock.now()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "refinevad",
            "X-RefineVAD-Envelope": envelope["id"],
            "X-RefineVAD-Timestamp": timestamp,
        }
        if self._options.secret is not None:
            headers["X-RefineVAD-Signature"] = sign(self._options.secret.reveal(), timestamp, body)
        try:
            request = urllib.request.Request(self._options.url.reveal(), body, headers, method="POST")
            with self._opener.open(request, timeout=self._options.timeout_s):
                return
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error.code, error.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise DeliveryError(f"no answer from {self._shown} ({reason})") from None

    def _refused(self, status: int, retry_after: str | None) -> None:
        sentence = f"{self._shown} answered {status}"
        if 400 <= status < 500 and status not in _AGAIN:
            raise RefusedError(sentence)
        raise DeliveryError(sentence, self._seconds(retry_after))

    def _seconds(self, retry_after: str | None) -> float | None:
        """Retry-After is a number of seconds or a date."""
        if retry_after is None:
            return None
        if retry_after.strip().isdecimal():
            return float(retry_after)
        try:
            return max(parsedate_to_datetime(retry_after).timestamp() - self._clock.now(), 0.0)
        except (TypeError, ValueError):
            return None

    def close(self) -> None:
        pass
