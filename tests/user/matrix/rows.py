"""The table of large foreign programs that must work under `mimic run --root` as they do natively.

A row is a script for the root's /bin/sh, run with -e in a fresh copy of the row's folder (below this one; else an empty
folder), as root. What it prints on standard output must equal what the same script prints in the host's own Debian of the
same suite. `twin` prints there instead, where the same script can't.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    packages: str
    script: str
    folder: str = ""
    minutes: int = 60
    twin: str = ""
    guests: tuple = ("aarch64", "riscv64")


def collector(name, options, guests=("aarch64", "riscv64")):
    return Row(f"jvm-{name}", "openjdk-{java}-jdk-headless",
               f"javac -d . Collect.java; java -Xmx192m {options} -cp . Collect 4 20000", folder="jvm", guests=guests)


# What the compiler made, by the hash that Go writes into its archives, is the same on all machines (but for the package that
# names the dynamic linker of the machine that Go was built on).
GO = """
    export GOCACHE=$PWD/cache GOFLAGS=-trimpath CGO_ENABLED=0 HOME=$PWD
    go build std
    go list -export -f '{{{{.ImportPath}}}} {{{{.BuildID}}}}' std | sed 's, .*/, ,' | grep -v '^internal/buildcfg '
    cat > hello.go <<'END'
package main

import ("fmt"; "runtime"; "sync")

func main() {{
    var group sync.WaitGroup
    sums := make([]int, 1000)
    for n := range sums {{
        n := n
        group.Add(1)
        go func() {{
            defer group.Done()
            defer func() {{ sums[n] += recover().(int) }}()
            kept := make([][]byte, 100)
            for m := 0; m < 1000; m++ {{ kept[m%100] = make([]byte, m); runtime.Gosched() }}
            sums[n] = len(kept[99])
            panic(n)
        }}()
    }}
    group.Wait()
    total := 0
    for _, sum := range sums {{ total += sum }}
    fmt.Println(total)
}}
END
    {run}
"""

POSTGRES = """
    work=$PWD; chown postgres $work; cd /
    bin=$(ls -d /usr/lib/postgresql/*/bin)
    cat > $work/steps <<END
    export PATH=$bin:\\$PATH PGHOST=$work PGDATABASE=postgres LC_ALL=C
    cd $work
    initdb -D data >initdb.log
    echo "listen_addresses = ''" >> data/postgresql.conf
    pg_ctl -D data -o "-k $work" -l server.log -w -t 600 start >/dev/null
    pgbench -i -s 2 -q 2>/dev/null
    pgbench -c 4 -j 2 -t 250 | grep -E 'processed|failed'
    pgbench -n -S -c 4 -j 2 -t 500 | grep -E 'processed|failed'
    psql -qAt <<SQL
    select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts;
    select count(*) from pgbench_history;
    create table words as select n, md5(n::text) as word from generate_series(1, 20000) n;
    create index on words (word);
    vacuum analyze;
    select sum(n), min(word), max(word) from words where word like 'a%';
    set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set min_parallel_table_scan_size = 0;
    select count(*), round(avg(n)) from words a join pgbench_accounts b on b.aid = a.n;
SQL
    pg_ctl -D data -w -t 600 stop >/dev/null
    grep -cE 'PANIC|FATAL|terminated by signal' server.log || true
END
    su postgres -s /bin/sh -c "sh -e $work/steps"
"""

ROWS = (
    Row("cpython", "python3 libpython{python}-testsuite", "python3 run.py", folder="cpython", minutes=600),
    Row("go", "golang-go", GO.format(run="go run hello.go"),
        twin="export GOARCH={goarch}\n" + GO.format(run="GOARCH= go run hello.go")),
    Row("node", "nodejs npm", "export HOME=$PWD; npm ci --no-fund --no-audit >&2; npm test 2>&1 | grep -E '✔|✓|passing|failing' | "
        "sed 's/ ([0-9.]*m*s)$//'", folder="node"),
    collector("serial", "-XX:+UseSerialGC"),
    collector("parallel", "-XX:+UseParallelGC"),
    collector("g1", "-XX:+UseG1GC"),
    collector("z", "-XX:+UseZGC"),
    collector("shenandoah", "-XX:+UseShenandoahGC"),
    Row("rust", "cargo rustc", "export HOME=$PWD; cargo build --release --offline; cargo test --offline 2>&1 | grep '^test '"
        " | sort; ./target/release/app 2>/dev/null", folder="rust"),
    Row("postgresql", "postgresql postgresql-contrib", POSTGRES),
)
