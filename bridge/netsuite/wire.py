"""One question, one answer: a slot, a fresh passport, one attempt, and a verdict on whatever comes back.

``Wire.exchange`` asks for a whole answer, ``Wire.ask`` for the result of a read that succeeded, ``SearchPage`` reads a
page of records while it arrives.

Must not know: records and their fields, when to try again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import datetime
from typing import Any

from lxml import etree

from bridge.errors import Deferred
from bridge.netsuite import envelopes, faults
from bridge.netsuite.envelopes import Page
from bridge.netsuite.passport import Identity, passport
from bridge.netsuite.reading import SOAP, Reader, Unreadable
from bridge.netsuite.transport import Broken, NotSent, TooLarge, Transport
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Record, Slots

TOO_LARGE = "ANSWER_TOO_LARGE"
BREATH = 5  # records, about a millisecond's work: a long page must not keep the interpreter from saves
BREATH_S = 0.0005


def breathe() -> None:
    """Leave the interpreter to others for a moment, whether or not anybody waits for it."""
    time.sleep(BREATH_S)


class Wire:
    """The way to one account. Safe to share between threads. *breathe* is called now and then in long pages."""

    def __init__(
        self,
        *,
        bindings: Bindings,
        transport: Transport,
        slots: Slots,
        identity: Identity,
        clock: Callable[[], datetime],
        breathe: Callable[[], None] = breathe,
    ) -> None:
        self.bindings = bindings
        self.transport = transport
        self.slots = slots
        self.identity = identity
        self._clock = clock
        self.breathe = breathe

    def through(self, bindings: Bindings) -> Wire:
        """Return the way to the same account through other bindings, over the same connections."""
        return Wire(
            bindings=bindings,
            transport=self.transport.beside(f"NetSuitePort_{bindings.version}"),
            slots=self.slots,
            identity=self.identity,
            clock=self._clock,
            breathe=self.breathe,
        )

    def exchange(
        self,
        operation: str,
        *,
        write: bool,
        listed: bool = False,
        interactive: bool = False,
        held: bool = False,
        **values: Any,
    ) -> etree._Element:
        """Send one message in a slot of its own, or in the one that is *held*, and return its response element.

        *listed* gives it the time of a list call. Raises what a fault, silence or rubbish means.
        """
        envelope = self.bindings.message(operation, **values)
        limits = self.transport.limits
        slot = nullcontext(True) if held else self.slots.lease(interactive=interactive)
        with slot, self.judged(write=write):
            timeout_s = limits.list_s if listed else limits.single_s
            answer = self.transport.post(operation, self.signed(envelope), timeout_s=timeout_s)
            body = answer.read()
        with self.judged(write=write):
            return envelopes.result(answer, body, operation, write=write)

    def ask(self, operation: str, *, interactive: bool, **values: Any) -> etree._Element:
        """Call a read operation and return its ``…Result``, once its status says success."""
        answer = self.exchange(operation, write=False, interactive=interactive, **values)
        found = next(iter(answer), answer)
        error = envelopes.status_error(found, write=False)
        if error is not None:
            self.noted(error)
            raise error
        return found

    def noted(self, error: BaseException | None) -> None:
        """Tell the slots when NetSuite asked for fewer calls."""
        if isinstance(error, Deferred) and error.throttled:
            self.slots.throttled()

    @contextmanager
    def judged(self, *, write: bool) -> Iterator[None]:
        """Turn what can go wrong on the way into what it means."""
        try:
            yield
        except NotSent as error:
            raise faults.not_sent(str(error)) from error
        except TooLarge as error:
            raise faults.in_doubt(str(error), write=write, code=TOO_LARGE) from error
        except Broken as error:
            raise faults.in_doubt(str(error), write=write) from error
        except Unreadable as error:
            raise faults.in_doubt(str(error), write=write, code=envelopes.UNREADABLE) from error
        except Deferred as error:
            self.noted(error)
            raise

    def without_secrets(self, text: str) -> str:
        """Return *text* with every part of our credentials as stars, should NetSuite have repeated one."""
        for secret in self.identity.secrets():
            text = text.replace(secret, "***")
        return text

    def signed(self, envelope: etree._Element, preferences: dict[str, str] | None = None) -> bytes:
        """Put a fresh passport on *envelope* and write it out; call just before sending."""
        messages = self.bindings.namespace("messages")
        header = etree.Element(f"{{{SOAP}}}Header")
        header.append(
            passport(
                self.identity.current,
                timestamp=int(self._clock().timestamp()),
                messages=messages,
                core=self.bindings.namespace("core"),
            )
        )
        if preferences is not None:
            part = etree.SubElement(header, f"{{{messages}}}searchPreferences")
            for name, value in preferences.items():
                etree.SubElement(part, f"{{{messages}}}{name}").text = value
        envelope.insert(0, header)
        return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


class SearchPage:
    """One page of a search, not asked for before it is iterated; iterate it once, in the slot it holds.

    ``head`` tells ``total_records``, ``total_pages`` and ``search_id`` once the first record, or the end, is there.
    NetSuite runs the search again for every page, so totals may drift from one to the next.
    """

    def __init__(
        self, wire: Wire, reader: Reader, kind: str, size: int, operation: str, *, bare: bool = False, **values: Any
    ) -> None:
        self._wire = wire
        self._reader = reader
        self._kind = kind
        self._size = size
        self._operation = operation
        self._bare = bare
        self._values = values
        self.head = Page((), reader, kind)
        self._records = self._stream()

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def close(self) -> None:
        """Stop reading and give the slot back."""
        self._records.close()

    def _stream(self) -> Generator[Record, None, None]:
        wire, limits = self._wire, self._wire.transport.limits
        envelope = wire.bindings.message(self._operation, **self._values)
        # Without the preferences a further page silently loses its sublists.
        preferences = {"bodyFieldsOnly": "true" if self._bare else "false", "pageSize": str(self._size)}
        with wire.slots.lease(interactive=False), wire.judged(write=False):
            body = wire.signed(envelope, preferences)
            with closing(wire.transport.post(self._operation, body, timeout_s=limits.list_s)) as answer:
                if answer.status != 200 or not answer.is_xml:
                    envelopes.result(answer, answer.read(), self._operation, write=False)
                self.head = Page(answer.pieces(limits.page_bytes), self._reader, self._kind)
                for count, record in enumerate(self.head, start=1):
                    yield record
                    if count % BREATH == 0:
                        wire.breathe()
