"""Objects kept current: a list, then the changes since, by the API server's own rules.

Source: kubernetes.io/docs/reference/using-api/api-concepts (efficient detection of changes,
bookmarks, 410 Gone).
"""

import threading
from collections.abc import Callable

from kuberay.rollout.api import Api, Kind, Object, Stream, status_error
from kuberay.rollout.errors import ApiError, Gone, Unreachable

WATCH_S = 240
"""How long one watch lasts; the next goes on from where it ended."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
BUSY = (429, 500, 502, 503, 504)


class Watched:
    """The objects of one kind in a namespace.

    A thread lists and watches until `stop`. What interrupts it (the end of a watch, a broken
    connection, a busy server, a resource version that is too old) it goes on from by itself;
    another refusal ends it and is left in `error`.
    """

    def __init__(
        self,
        api: Api,
        kind: Kind,
        namespace: str,
        changed: Callable[[], None],
        *,
        labels: str = "",
        fields: str = "",
        watch_s: int = WATCH_S,
    ) -> None:
        """`changed` is called by the thread after each change."""
        self._api = api
        self._kind = kind
        self._namespace = namespace
        self._changed = changed
        self._labels = labels
        self._fields = fields
        self._watch_s = watch_s
        self._lock = threading.Lock()
        self._objects: dict[str, Object] = {}
        self._is_listed = False
        self._error: ApiError | None = None
        self._stopping = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{kind.plural}", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch and waits for its thread."""
        self._stopping.set()
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.close()
        self._thread.join()

    @property
    def is_listed(self) -> bool:
        """Whether the objects have been listed once."""
        with self._lock:
            return self._is_listed

    @property
    def error(self) -> ApiError | None:
        """What ended the watch."""
        with self._lock:
            return self._error

    @property
    def objects(self) -> list[Object]:
        """As the server has them, by name."""
        with self._lock:
            return [self._objects[name] for name in sorted(self._objects)]

    def _run(self) -> None:
        version: str | None = None
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                if version is None:
                    version = self._list()
                version = self._follow(version)
                pause_s = FIRST_PAUSE_S
                continue
            except Gone:
                version = None
            except ApiError as error:
                if not isinstance(error, Unreachable) and error.status not in BUSY:
                    with self._lock:
                        self._error = error
                    self._changed()
                    return
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _list(self) -> str:
        found, version = self._api.list_all(
            self._kind, self._namespace, labels=self._labels, fields=self._fields
        )
        with self._lock:
            self._objects = {each["metadata"]["name"]: each for each in found}
            self._is_listed = True
        self._changed()
        return version

    def _follow(self, version: str) -> str:
        """Takes in changes until the watch ends; the resource version that was reached."""
        stream = self._api.watch(
            self._kind,
            self._namespace,
            resource_version=version,
            timeout_s=self._watch_s,
            labels=self._labels,
            fields=self._fields,
        )
        with self._lock:
            self._stream = stream
        try:
            # `stop` that came before the stream was known has closed none.
            if self._stopping.is_set():
                stream.close()
            for event in stream:
                version = self._take(event)
        except Unreachable:
            # What came before the break counts: the next watch goes on behind it.
            if not self._stopping.is_set():
                self._stopping.wait(FIRST_PAUSE_S)
        finally:
            with self._lock:
                self._stream = None
        return version

    def _take(self, event: Object) -> str:
        body: Object = event["object"]
        if event["type"] == "ERROR":
            raise status_error(body)
        version: str = body["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return version
        with self._lock:
            if event["type"] == "DELETED":
                self._objects.pop(body["metadata"]["name"], None)
            else:
                self._objects[body["metadata"]["name"]] = body
        self._changed()
        return version
