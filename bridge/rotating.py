"""New secrets without a restart: the files in ``BRIDGE_SECRETS_DIR`` are looked at every few seconds.

``Rotation`` reads all settings anew when a file there has changed, hands them to whoever uses them, and says in the
audit which were changed, never their values. Settings that do not work are not taken over: the old ones stay, and an
incident says why. Whatever is paused because the old ones were refused is tried at once.

Must not know: any system, what a secret is for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr
from sqlalchemy.exc import SQLAlchemyError

from bridge import operating
from bridge.delivery import Delivery
from bridge.errors import BridgeError
from bridge.ledger import incidents, marks
from bridge.ledger.incidents import Incident
from bridge.settings import NotConfigured, Settings, variable

LOG = logging.getLogger("bridge.secrets")
LOOK_S = 10.0
# What belongs to a login and is taken over with its secret; whatever else a file changes needs a restart.
TAKEN: Final = (
    "signing_keys", "netsuite_consumer_key", "netsuite_consumer_secret", "netsuite_token_id", "netsuite_token_secret",
    "netsuite_token_expires", "salesforce_client_id", "salesforce_username", "salesforce_jwt_key",
    "salesforce_client_secret", "alert_urls", "alert_webhook_secret",
)  # fmt: skip

Seen = tuple[tuple[str, int, int, int], ...]


class Rotation:
    """Follows the files of one folder. *take* uses other settings from now on, and may refuse them."""

    def __init__(
        self,
        folder: Path | None,
        engine: Delivery,
        *,
        now: Callable[[], Settings],
        read: Callable[[], Settings],
        take: Callable[[Settings], None],
    ) -> None:
        self._folder, self._engine = folder, engine
        self._now, self._read, self._take = now, read, take
        self._seen: Seen = ()
        self._seen = self._look_at_files()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="secrets", daemon=True)

    def start(self) -> None:
        if self._folder is not None:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def look(self) -> bool:
        """Take over what the files say now, if they have changed; True if something else counts from here on."""
        found = self._look_at_files()
        if found == self._seen:
            return False
        wrong: list[str] = []
        before = self._now()
        try:
            after = self._read()
            changed = [name for name in TAKEN if getattr(before, name) != getattr(after, name)]
            left = [name for name in left_alone(before, after) if name not in TAKEN]
            taken = before.model_copy(update={name: getattr(after, name) for name in TAKEN})
            if changed:
                self._take(taken)
        except NotConfigured as error:
            changed, left, wrong = [], [], list(error.problems)
        except BridgeError as error:
            changed, left, wrong = [], [], [error.message]
        self._tell(changed, left, wrong, before)
        self._seen = found  # only now: where the database did not answer, the next look does it again
        if changed:
            operating.probe(self._engine)
        return bool(changed)

    def _tell(self, changed: list[str], left: list[str], wrong: list[str], before: Settings) -> None:
        names = _named(changed, before, self._now())
        with self._engine.ledger.write() as writing:
            if changed:
                writing.say("secrets_changed", "bridge", detail=f"taken over from files: {', '.join(names)}"[:400])
                marks.probe_now(writing)
            sentence = f"New secrets were not taken over, the old ones count: {' '.join(wrong)}"[:400]
            incidents.report(writing, [Incident("secrets:", "SECRETS_REFUSED", sentence)] if wrong else [])
            if not wrong:
                incidents.end(writing, ["secrets"], [])
        if changed:
            LOG.info("Taken over from files: %s.", ", ".join(names))
        if wrong:
            LOG.error("New secrets were not taken over: %s", " ".join(wrong))
        if left:
            LOG.warning("Changed in a file, and waits for a restart: %s.", ", ".join(map(variable, left)))

    def _look_at_files(self) -> Seen:
        """Return what tells one state of the folder from another; a mounted secret is a link that is led elsewhere."""
        if self._folder is None:
            return ()
        found = []
        try:
            for file in sorted(self._folder.iterdir()):
                if file.is_file():
                    status = file.stat()
                    found.append((file.name, status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError:
            return self._seen  # in the middle of an exchange, or gone: the next look knows more
        return tuple(found)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.look()
            except (SQLAlchemyError, OSError) as error:
                LOG.warning("New secrets could not be taken over yet (%s).", type(error).__name__)


def left_alone(before: Settings, after: Settings) -> Iterator[str]:
    """Yield the settings that differ."""
    for name in type(before).model_fields:
        if getattr(before, name) != getattr(after, name):
            yield name


def _named(changed: list[str], before: Settings, after: Settings) -> list[str]:
    """Name what changed, signing keys by their ids."""
    names = [variable(name) for name in changed if name != "signing_keys"]
    if "signing_keys" in changed:
        old, new = before.signing_keys, after.signing_keys
        told = [f"{kid} {_became(old.get(kid), new.get(kid))}" for kid in sorted({*old, *new})]
        names.append(f"BRIDGE_SIGNING_KEYS ({', '.join(told)})")
    return names


def _became(old: BaseModel | SecretStr | None, new: BaseModel | SecretStr | None) -> str:
    if old is None:
        return "added"
    return "removed" if new is None else "kept" if old == new else "changed"
