"""Reads a recorded search page in a fresh process and tells what it cost: ``read_page.py zeep|bridge FILE PAGES``."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[2]))

import suitetalk_wsdl
from bridge.netsuite.envelopes import Page
from bridge.netsuite.reading import Reader
from bridge.netsuite.wsdl import Bindings

BINDINGS = Bindings.load(Path(suitetalk_wsdl.__file__).parent / "2025_2", "2025_2")


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(1 << 16):
            yield data


def by_bridge(path: Path) -> int:
    count = 0
    for record in Page(pieces(path), Reader(BINDINGS), "salesOrder"):
        count += len(record.fields["itemList"]) == 5
    return count


def by_zeep(path: Path) -> int:
    service = BINDINGS.client.service
    binding = service._binding
    answer = SimpleNamespace(
        status_code=200,
        headers={"Content-Type": "text/xml; charset=utf-8"},
        content=path.read_bytes(),
        encoding="utf-8",
    )
    found = binding.process_reply(BINDINGS.client, binding.get("search"), answer)
    result = getattr(found, "searchResult", None) or found.body.searchResult
    return sum(len(it.itemList.item) == 5 for it in result.recordList.record)


def peak_mb() -> float:
    # Not ru_maxrss: a child begins with its parent's.
    line = next(it for it in Path("/proc/self/status").read_text().splitlines() if it.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(way: str, path: Path, pages: int) -> None:
    read: Callable[[Path], int] = {"zeep": by_zeep, "bridge": by_bridge}[way]
    gc.collect()
    before = peak_mb()
    used: list[float] = []
    memory: list[float] = []
    for _ in range(pages):
        started = time.process_time()
        count = read(path)
        used.append(time.process_time() - started)
        memory.append(peak_mb())
    print(
        json.dumps({"count": count, "cpu_s": used, "first_mb": memory[0] - before, "more_mb": memory[-1] - memory[0]})
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
