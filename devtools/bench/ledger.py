"""`./dev bench ledger`: the ledger's ladder, in multiples of what one posting a commit comes to.

A is pgbench calling the posting function once per commit with 16 clients. It is measured before
and after every case, so that a machine that slows down slows both. Every commit reaches the
disk (`synchronous_commit` and `fsync` on), and every check of the ledger is on. So that a slower
function does not flatter the multiples of A, A itself is held against a posting as plain as plpgsql
allows (`_ledger_floor.sql`), which checks and keeps much less.

With `--against CHECKOUT` each case is measured against that of another checkout, in rounds that
alternate, and the JSON has `against`: ours over the other by case (`_against.py`). `--only-against`
leaves out the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from devtools import postgres, say, stack, up
from devtools.bench._against import other_ledger, python_of, ratio
from devtools.home import ROOT, Home
from devtools.postgres import forget_elsewhere
from devtools.say import Stop
from devtools.supervisor import Supervisor, ignore_stop_signals, interruptible

HERE = Path(__file__).resolve().parent
OPTIONS = (
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "wal_buffers=64MB",
    "wal_compression=on",
)
MILLIONS = 10

#: What the ledger promises: (case, figure of the JSON object, at least, in words).
PROMISES = (
    ("single", "single_8_threads", 0.6, "single posts from Python, 8 threads"),
    ("coalesced", "coalesced_distinct", 1.5, "64 callers through the coalescer, distinct accounts"),
    ("coalesced_hot", "coalesced_hot", 1.5, "the same on one hot account"),
    ("batch", "batch_1000_distinct", 3.5, "batches of 1,000, distinct accounts"),
    ("batch_hot", "batch_1000_hot", 4.5, "the same on one hot account"),
)

#: A pair of a pending transfer and its post, against a plain transfer in the same manner. A batch
#: has no commits to share, so there a pair is two transfers, a look-up and an index entry.
PAIRS = (
    ("pairs_single", "single", "two_phase", 0.5, "pending + post pairs, 8 threads, of singles"),
    ("pairs_batch", "batch", "two_phase_batch", 0.25, "the same in batches of 1,000, of batches"),
)

_ACCOUNTS = r"""
\set d random(1, 10000)
\set c random(10001, 20000)
"""
#: What pgbench calls: the ledger's own function, which is A, and the plain one.
_PGBENCH = {
    "own": """SELECT ledger_post(ARRAY[{new_id}], ARRAY[md5('account ' || :d)::uuid],
        ARRAY[md5('account ' || :c)::uuid], '{{1}}', '{{8400}}', '{{10}}', p_role => 'app_worker');
""",
    "plain": """SELECT floor.post({new_id}, md5('account ' || :d)::uuid,
        md5('account ' || :c)::uuid, 1);
""",
}


@dataclass(slots=True)
class _Bench:
    admin_url: str
    env: dict[str, str]
    pgbench: Path
    folder: Path
    seconds: float
    rulers: list[float] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[str, str, str, bool | None]] = field(default_factory=list)

    def ruler(self) -> float:
        """A, now."""
        self.rulers.append(self.commits_per_s("own"))
        return self.rulers[-1]

    def commits_per_s(self, script: str) -> float:
        """What pgbench makes of a script: one call a commit, 16 clients."""
        done = subprocess.run(
            [
                str(self.pgbench), "--no-vacuum", "--protocol=prepared", "--client=16", "--jobs=2",
                f"--time={max(3, int(self.seconds * 0.6))}",
                f"--file={self.folder / script}.pgbench", self.admin_url,
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode or found is None:
            raise Stop(f"pgbench failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        return float(found.group(1))

    def case(self, name: str) -> dict[str, Any]:
        return _child("devtools.bench._ledger_cases", [name, str(self.seconds)], self.env)

    def measured(self, name: str) -> tuple[float, float]:
        """Transfers a second of a case, and as a multiple of A around it."""
        before = self.rulers[-1] if self.rulers else self.ruler()
        per_s = float(self.case(name)["per_s"])
        return per_s, per_s / statistics.mean((before, self.ruler()))

    def row(self, what: str, value: str, target: str = "", kept: bool | None = None) -> None:
        self.rows.append((what, value, target, kept))
        mark = "" if kept is None else ("  kept" if kept else "  MISSED")
        say.done(f"{what:<58} {value:>22}  {target:<10}{mark}")


def run(arguments: list[str]) -> int:
    """Measure and print; the last line is one JSON object. 0 if every promise was kept."""
    parser = argparse.ArgumentParser(prog="./dev bench ledger", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="leave out what needs 10 M rows")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each case")
    parser.add_argument("--millions", type=int, default=MILLIONS, help="transfers to store first")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="compare each case with it"
    )
    parser.add_argument("--only-against", action="store_true", help="compare, and nothing else")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison")
    options = parser.parse_args(arguments)
    parent = ROOT / ".dev"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder, interruptible():
        os.chmod(folder, 0o711)
        home = Home(Path(folder))
        home.make()
        supervisor = Supervisor(home)
        try:
            bench = _start(supervisor, options.seconds)
            if not options.only_against:
                _ladder(bench)
                _hordak(bench)
            if options.against:
                _against(bench, options.against.resolve(), options.rounds)
            if not (options.quick or options.only_against):
                _millions(bench, options.millions)
        finally:
            ignore_stop_signals()
            supervisor.stop_all()
            forget_elsewhere(home)
    kept = all(row[3] is not False for row in bench.rows)
    if bench.rulers:
        per_s = round(statistics.median(bench.rulers))
        bench.figures = {"a_per_s": per_s, **bench.figures}
        say.line(f"\nA = {per_s:,} commits a second (median of {len(bench.rulers)})")
    say.line(json.dumps(bench.figures))
    return 0 if kept else 1


def _start(supervisor: Supervisor, seconds: float) -> _Bench:
    home = supervisor.home
    secrets = stack.read_secrets(home)
    servers = stack.start_servers(supervisor, secrets, options=OPTIONS)
    env = stack.platform_env(home, secrets, base_url="http://127.0.0.1") | stack.provision(
        home, secrets, servers
    )
    up.migrate(env)
    owner_database = psycopg.conninfo.conninfo_to_dict(env["DATABASE_URL"])["dbname"]
    admin_url = make_conninfo(servers.admin_url, dbname=owner_database)
    with psycopg.connect(admin_url, autocommit=True) as conn:
        newer = conn.info.server_version >= 180_000
        for name in ("_ledger_floor.sql", "_ledger_accounts.sql"):
            _run_file(conn, HERE / name)
    new_id = "uuidv7()" if newer else "gen_random_uuid()"
    for name, call in _PGBENCH.items():
        (home.path / f"{name}.pgbench").write_text(_ACCOUNTS + call.format(new_id=new_id))
    binaries = postgres.place_for(home, secrets["POSTGRES_PASSWORD"]).binaries
    return _Bench(admin_url, env, binaries / "pgbench", home.path, seconds)


def _ladder(bench: _Bench) -> None:
    bench.ruler()
    bench.rulers.clear()
    plain_per_s = bench.commits_per_s("plain")
    of_plain = bench.ruler() / plain_per_s
    bench.figures |= {"plain_per_s": round(plain_per_s), "a_of_plain": round(of_plain, 2)}
    bench.row("A against a plain posting function", f"{of_plain:.2f} x {plain_per_s:,.0f}/s")
    plain: dict[str, float] = {}
    for case, figure, least, words in PROMISES:
        per_s, multiple = bench.measured(case)
        plain[case] = multiple
        bench.figures[figure] = round(multiple, 2)
        bench.figures[f"{figure}_per_s"] = round(per_s)
        bench.row(words, f"{per_s:,.0f}/s = {multiple:.2f} A", f">= {least} A", multiple >= least)
    for case, against, figure, promised, words in PAIRS:
        per_s, multiple = bench.measured(case)
        bench.figures[figure] = round(multiple, 2)
        of_single = multiple / plain[against]
        bench.row(
            words,
            f"{per_s:,.0f}/s = {multiple:.2f} A = {of_single:.2f}",
            f">= {promised}",
            of_single >= promised,
        )


def _hordak(bench: _Bench) -> None:
    with psycopg.connect(bench.admin_url, autocommit=True) as conn:
        conn.execute("CREATE DATABASE hordak")
    env = bench.env | {"DATABASE_URL": _url(bench.admin_url, "hordak")}
    # Before and after: as with A, a machine that slows down slows both.
    before = float(bench.case("single")["per_s"])
    per_s = float(_child("devtools.bench._ledger_hordak", [str(bench.seconds)], env)["per_s"])
    ours = statistics.mean((before, float(bench.case("single")["per_s"])))
    bench.figures["vs_hordak"] = round(ours / per_s, 1)
    bench.row(
        "single posts against django-hordak",
        f"{ours / per_s:.1f} x {per_s:,.0f}/s",
        ">= 5 x",
        ours / per_s >= 5,
    )


def _against(bench: _Bench, checkout: Path, rounds: int) -> None:
    """Each case here over that of another checkout."""
    ratios = bench.figures["against"] = {}
    with other_ledger(checkout, seconds=bench.seconds) as env:

        def measured(case: str, place: Path) -> float:
            arguments = [case, str(bench.seconds)]
            of_place = bench.env if place == ROOT else env
            answer = _child("devtools.bench._ledger_cases", arguments, of_place, place)
            return float(answer["per_s"])

        for case in (promise[0] for promise in (*PROMISES, *PAIRS)):
            ratios[case] = ratio(
                partial(measured, case, ROOT), partial(measured, case, checkout), rounds=rounds
            )
            bench.row(f"{case} against {checkout.name}", f"{ratios[case]}")


def _millions(bench: _Bench, millions: int) -> None:
    empty = {case: bench.measured(case)[1] for case in ("single", "batch")}
    fill = (HERE / "_ledger_fill.sql").read_text()
    with psycopg.connect(bench.admin_url, autocommit=True) as conn:
        for million in range(millions):
            conn.execute(fill, {"first": million * 1_000_000})
            say.doing(f"{million + 1} of {millions} million transfers stored")
        conn.execute("VACUUM (ANALYZE) ledger_transfer")
        conn.execute("CHECKPOINT")
        size = conn.execute(
            "SELECT pg_table_size('ledger_transfer'), pg_indexes_size('ledger_transfer'),"
            " count(*) FROM ledger_transfer"
        ).fetchone()
    assert size is not None
    bench.case("batch")  # pages are written whole once after a checkpoint; not a steady state
    full = {case: bench.measured(case)[1] for case in ("single", "batch")}
    lowest = min(full[case] / empty[case] for case in full)
    bench.figures["at_10m"] = round(lowest, 2)
    bench.figures["bytes_a_transfer"] = round((size[0] + size[1]) / size[2])
    bench.row(
        f"posting rate with {millions} million stored, against before",
        " ".join(f"{case} {full[case] / empty[case]:.2f}" for case in full),
        ">= 0.9",
        lowest >= 0.9,
    )
    times = bench.case("reads")
    bench.figures["balance_now_ms"] = round(times["now_ms"], 3)
    bench.figures["balance_as_of_ms"] = round(times["as_of_ms"], 3)
    bench.row("balance now", f"{times['now_ms']:.2f} ms", "< 1 ms", times["now_ms"] < 1)
    bench.row(
        "balance as of a past day",
        f"{times['as_of_ms']:.2f} ms (p99 {times['as_of_p99_ms']:.2f})",
        "< 5 ms",
        times["as_of_ms"] < 5,
    )


def _child(
    module: str, arguments: list[str], env: dict[str, str], checkout: Path = ROOT
) -> dict[str, Any]:
    python = sys.executable if checkout == ROOT else python_of(checkout)
    done = subprocess.run(
        [python, "-m", module, *arguments],
        cwd=checkout,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise Stop(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _run_file(conn: psycopg.Connection[Any], file: Path) -> None:
    """Statement by statement, for VACUUM must stand alone; bodies of functions are kept whole."""
    text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))
    for statement in re.split(r";\n(?=(?:[^$]*\$\$[^$]*\$\$)*[^$]*$)", text):
        if statement.strip():
            conn.execute(statement)


def _url(conninfo: str, database: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    secret = f":{parts['password']}" if parts.get("password") else ""
    return f"postgresql://{parts['user']}{secret}@{parts['host']}:{parts['port']}/{database}"
