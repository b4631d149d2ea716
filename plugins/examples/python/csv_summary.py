"""Summarizes the columns of a CSV file in a project's storage."""

import csv
import io
import json
import math
import statistics
from collections import Counter

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log, objects, progress
from wit_world.imports.types import Error, ErrorCode

MAX_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


def failure(code: ErrorCode, message: str) -> Err[Error]:
    return Err(Error(code, message, None))


async def read_object(store: str, key: str) -> bytes:
    """Reads a whole object. A stream cannot report that it was cut short, so its outcome is awaited too."""
    meta, body, outcome = await objects.get(store, key)
    if meta.size_bytes > MAX_BYTES:
        raise failure(ErrorCode.TOO_LARGE, f"{key} has {meta.size_bytes} bytes; the maximum is {MAX_BYTES}")
    content = bytearray()
    with body:
        while not body.writer_dropped:
            content += await body.read(CHUNK_BYTES)
            progress.report(len(content), meta.size_bytes, f"reading {key}")
    result = await outcome.read()
    if isinstance(result, Err):
        raise result
    return bytes(content)


def summarize_column(values: list[str]) -> dict:
    present = [value for value in values if value.strip()]
    summary: dict = {"values": len(present), "empty": len(values) - len(present), "distinct": len(set(present))}
    try:
        numbers = [float(value) for value in present]
    except ValueError:
        numbers = []
    # JSON has no infinity and no `nan`.
    if not numbers or not all(map(math.isfinite, numbers)):
        summary["mostCommon"] = [{"value": value, "count": count} for value, count in Counter(present).most_common(3)]
        return summary
    mean, median = round(statistics.fmean(numbers), 6), statistics.median(numbers)
    return summary | {"min": min(numbers), "max": max(numbers), "mean": mean, "median": median}


def summarize(text: str, delimiter: str) -> dict:
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    if not rows:
        return {"rows": 0, "columns": {}}
    header, records = rows[0], rows[1:]
    columns = {
        name or f"column {index + 1}": summarize_column([row[index] if index < len(row) else "" for row in records])
        for index, name in enumerate(header)
    }
    return {"rows": len(records), "columns": columns}


class Job(exports.Job):
    async def run(self, context, params: str) -> str:
        if context.job != "summarize":
            raise failure(ErrorCode.INVALID, f"unknown job {context.job}")
        options = json.loads(params)
        store, key = f"project:{options['project']}", options["key"]
        try:
            # This does not use `decode("utf-8-sig")`: Python would load its codec from a file during the run, and a
            # plugin has no files.
            text = (await read_object(store, key)).decode().removeprefix("\ufeff")
            summary = summarize(text, options.get("delimiter", ","))
        except (UnicodeDecodeError, csv.Error) as error:
            raise failure(ErrorCode.INVALID, f"{key} is not a CSV file in UTF-8: {error}")
        log.write(log.Level.INFO, f"Summarized {summary['rows']} rows of {key}", "")
        report = json.dumps(summary, ensure_ascii=False, indent=2).encode()
        stored = await objects.put_bytes(store, f"{key}.summary.json", "application/json", report)
        return json.dumps({"key": stored.key, "rows": summary["rows"], "columns": len(summary["columns"])})
