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

CMAKE = """
    mkdir source; cd source
    printf 'cmake_minimum_required(VERSION 3.20)\nproject(p C CXX)\nenable_testing()\nfind_package(Threads REQUIRED)\n' > CMakeLists.txt
    printf 'add_library(l SHARED l.c)\nadd_executable(m m.cpp)\ntarget_link_libraries(m l Threads::Threads)\n' >> CMakeLists.txt
    printf 'add_test(NAME t COMMAND m)\n' >> CMakeLists.txt
    echo 'int twice(int n) { return 2 * n; }' > l.c
    cat > m.cpp <<'END'
#include <future>
#include <iostream>
#include <regex>
extern "C" int twice(int);
int main() {
    auto f = std::async(std::launch::async, [] { return twice(21); });
    try { std::regex("["); } catch (const std::regex_error&) { std::cout << f.get() << std::endl; return 0; }
    return 1;
}
END
    cmake -B build >/dev/null; cmake --build build -j2 | grep -c Linking; cd build; ctest | grep 'tests passed'; ./m
"""

GIT = """
    export HOME=$PWD; git config --global user.name n; git config --global user.email e@e; git config --global init.defaultBranch main
    export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
    git init -q a; cd a
    for n in $(seq 30); do seq $n 1000 > f$n; git add .; git commit -qm "c$n"; done
    git checkout -qb other HEAD~10; seq 5 > f1; git commit -qam side; git checkout -q main; git merge -q other -m merged
    git gc -q; git fsck --strict; cd ..; git clone -q --no-local a b; cd b; git log --oneline | sha256sum; git rebase -q HEAD~3 && git status -s
    git blame f3 | tail -n 1; git archive HEAD | sha256sum
"""

REDIS = """
    redis-server --port 0 --unixsocket $PWD/s --dir $PWD --appendonly yes --logfile $PWD/log --daemonize yes >/dev/null
    c="redis-cli -s $PWD/s"
    until [ "$($c ping 2>/dev/null)" = PONG ]; do sleep 0.1; done
    redis-benchmark -s $PWD/s -q -n 2000 -c 20 -t set,get,lpush,zadd 2>/dev/null | tr '\r' '\n' | grep -c 'requests per second'
    for n in $(seq 50); do echo "set k$n $n"; done | $c >/dev/null
    $c eval 'local s = 0; for n = 1, 50 do s = s + redis.call("get", "k" .. n) end; return s' 0
    $c bgsave >/dev/null; until grep -q 'Background saving terminated with success' log; do sleep 0.1; done
    $c bgrewriteaof >/dev/null; until grep -q 'Background AOF rewrite finished successfully' log; do sleep 0.1; done
    $c dbsize; $c shutdown; redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
"""

SSH = """
    mkdir -p /run/sshd; chmod 755 /run/sshd; umask 077
    ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t rsa -N '' -f key; cp key.pub authorized
    printf 'Port 2622\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\n' $PWD $PWD > config
    printf 'StrictModes no\nUsePAM no\nPidFile %s/pid\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n' $PWD >> config
    /usr/sbin/sshd -f $PWD/config -E $PWD/log
    o="-o StrictHostKeyChecking=no -o UserKnownHostsFile=$PWD/known -i key -o LogLevel=ERROR"
    for n in 1 2 3; do ssh -p 2622 $o root@127.0.0.1 "echo $n; exit $n" || echo status $?; done
    ssh -tt -p 2622 $o root@127.0.0.1 'tty | sed s/[0-9]*$//; stty size' < /dev/null | tr -d '\r'
    seq 100000 | ssh -C -p 2622 $o root@127.0.0.1 sha256sum
    echo "put config copy" | sftp -q -P 2622 $o root@127.0.0.1 >/dev/null; cmp config ~root/copy; rm ~root/copy
    kill $(cat pid)
"""

NGINX = """
    mkdir html logs; seq 20000 > html/numbers; chmod 755 . html; chmod 644 html/numbers
    printf 'worker_processes 2; user www-data; pid %s/pid; error_log %s/log;\nevents {}\n' $PWD $PWD > conf
    printf 'http { access_log off; gzip on; gzip_types *; server { listen 127.0.0.1:2680; root %s/html; } }\n' $PWD >> conf
    nginx -e $PWD/log -c $PWD/conf
    python3 - <<'END'
import concurrent.futures, gzip, hashlib, urllib.request
def get(n):
    request = urllib.request.Request("http://127.0.0.1:2680/numbers", headers={"Accept-Encoding": "gzip"} if n % 2 else {})
    body = urllib.request.urlopen(request).read()
    return hashlib.sha256(gzip.decompress(body) if n % 2 else body).hexdigest()
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(set(pool.map(get, range(100))))
END
    nginx -e $PWD/log -c $PWD/conf -s reload; sleep 1; nginx -e $PWD/log -c $PWD/conf -s quit
    grep -cE 'alert|emerg|signal 1[1]' log || true
"""

BUBBLEWRAP = """
    b="bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent"
    $b sh -c 'echo $$; ls /tmp | wc -l; id -u; ls /proc | grep -c "^[0-9]"; hostname -s >/dev/null && echo named'
    $b --uid 1000 --gid 1000 --hostname inside sh -c 'id -u; uname -n; touch /etc/x 2>/dev/null || echo read-only'
    $b --setenv A b --chdir /usr --new-session perl -e 'print "$ENV{A} ", `pwd`; exit 3' || echo status $?
"""

LANGUAGES = """
    cat > t.rb <<'END'
require 'json'; require 'digest'; require 'socket'
r, w = IO.pipe
pid = fork { r.close; w.write(JSON.dump((1..1000).map { |n| {n: n, s: n.to_s * 3} })); exit! 3 }
w.close; puts Digest::SHA256.hexdigest(r.read); Process.wait(pid); puts $?.exitstatus
q = Queue.new; t = 4.times.map { |k| Thread.new { 1000.times { |n| q << n * k } } }; t.each(&:join); puts q.size
puts (1..20).lazy.map { |n| Fiber.new { Fiber.yield n; n * n }.tap(&:resume).resume }.to_a.sum
begin; def d(n) = d(n + 1); d(0); rescue SystemStackError; puts :deep; end
GC.stress = false; 200000.times { "x" * 50 }; GC.compact; puts 2**200
END
    ruby t.rb
    cat > t.php <<'END'
<?php
function g() { for ($n = 0; $n < 100000; $n++) yield $n => md5((string)$n); }
$h = hash_init('sha256'); foreach (g() as $k => $v) hash_update($h, $v); echo hash_final($h), "\n";
echo json_encode(array_map(fn($n) => $n ** 0.5, range(1, 10))), "\n";
$a = range(1, 1000); usort($a, fn($x, $y) => $y <=> $x); echo preg_match_all('/\d+/', implode(',', range(1, 5000))), "\n";
END
    php t.php
    cat > t.lua <<'END'
local function f(n) return n < 2 and n or f(n - 1) + f(n - 2) end
local c = coroutine.wrap(function() for n = 1, 1000 do coroutine.yield(n) end end)
local s = 0; for n = 1, 1000 do s = s + c() end
print(f(24), s, pcall(error, "e"), string.format("%.14g", math.pi), ("x"):rep(10):gsub("x", "yz"))
END
    lua5.4 t.lua
    cat > t.ml <<'END'
let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
let rec deep n = if n = 0 then 0 else 1 + deep (n - 1)
let () =
  let h = Hashtbl.create 10 in
  for n = 1 to 200000 do Hashtbl.replace h (n mod 1000) (string_of_int n) done;
  Printf.printf "%d %d %d %.15g\\n" (fib 27) (Hashtbl.length h) (deep 50000) (sqrt 2.);
  (try ignore ([||].(1)) with Invalid_argument m -> print_endline m)
END
    ocamlfind ocamlopt -version >/dev/null 2>&1 || true; ocamlopt -o t t.ml 2>/dev/null; ./t; ocaml t.ml
    printf 'create table t(a, b);\nwith recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)\n' > t.sql
    printf 'insert into t select i, hex(i * i) from n;\ncreate index i on t(b); pragma integrity_check; select sum(a), max(b) from t;\n' >> t.sql
    sqlite3 t.db < t.sql
"""

ROWS = (
    Row("cpython", "python3 libpython{python}-testsuite", "python3 run.py {modules}", folder="cpython", minutes=600),
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
    Row("cmake", "cmake g++ make", CMAKE),
    Row("git", "git", GIT),
    Row("redis", "redis-server redis-tools", REDIS),
    Row("nginx", "nginx-light python3", NGINX),
    Row("openssh", "openssh-server openssh-client", SSH),
    Row("bubblewrap", "bubblewrap perl", BUBBLEWRAP),
    Row("languages", "ruby php-cli lua5.4 ocaml-nox sqlite3", LANGUAGES),
)
