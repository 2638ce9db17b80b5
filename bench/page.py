"""What was measured, as a table for the terminal and as docs/BENCHMARKS.md."""

import os
import platform

HEAD = """# Benchmarks

Written by `./dev bench`, not by hand. The same work, done by opsrun and by what is used in its place, on one machine, in one
run, in turns; times are wall clock from start to end of the process, medians of up to {rounds} rounds. Everybody's answer is checked
before anything is timed. opsrun runs as it always does: with the journal on disk, masking, and every read proved.

The peers are written as a user would write them: C with libcurl, libpq and hiredis, one thing after the other; Python with requests,
psycopg2 and redis; bash with curl, psql, redis-cli, jq; Ansible with its core modules. They write no journal and prove nothing.

Machine: {machine}.{provisional}
"""


def other_work():
    """The machine's load a moment before, from 0 (idle) to 1 (each core busy)."""
    return os.getloadavg()[0] / os.cpu_count()


def machine():
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    release = ".".join(platform.release().split(".")[:2])
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, Linux {release}"


def duration(seconds):
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def ratio(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def rows(workload, series):
    """One a contestant: name, median, span, against C (or the first), memory."""
    base = series["C"].median if "C" in series else None
    for name, taken in series.items():
        low, high = taken.span
        part = workload.parts.get(name)
        against = "" if base is None else ("> " if part else "") + ratio(taken.median / base) + " ×"
        label = f"{name} (1/{part} of it)" if part else name
        yield (label, duration(taken.median), f"{duration(low)} – {duration(high)}", against, f"{taken.peak:.0f} MiB",
               str(len(taken.runs)))


COLUMNS = ("", "median", "fastest – slowest", "against C", "peak memory", "rounds")


def table(workload, series, plain):
    lines = [COLUMNS, *rows(workload, series)]
    if plain:
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        return "\n".join("  " + "  ".join([line[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]).rstrip() for line in lines)
    text = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([text[0], "|---|" + "--:|" * (len(COLUMNS) - 1), *text[1:]])


def verdict(workload, claim):
    """With a hundredth of the data only what does not depend on time is judged."""
    if workload.small and claim.unit != "":
        return "small "
    return "holds " if claim.holds else "MISSED"


def section(workload, answer, series, claims, plain):
    title = f"{workload.name.upper()}: {workload.title}"
    verdicts = [f"{verdict(workload, claim)}  {claim}" for claim in claims]
    if plain:
        said = f"  everybody's answer: {answer}"
        return "\n".join([title, said, table(workload, series, True), *("  " + v for v in verdicts), ""])
    listed = "\n".join(f"- {'holds' if claim.holds else '**missed**'}: {claim}" for claim in claims)
    return f"## {title}\n\n{workload.about}\n\n{table(workload, series, False)}\n\n{listed}\n"


def write(path, results, rounds, busy):
    provisional = ""
    if busy > 0.25:
        provisional = f" Provisional: other work kept it busy ({100 * busy:.0f} % of its cores before the first round)."
    text = HEAD.format(rounds=rounds, machine=machine(), provisional=provisional)
    text += "\n" + "\n".join(section(*result, plain=False) for result in results)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
