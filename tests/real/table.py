"""The table of what Debian's programs must do under `mimic run` as they do natively.

A case is a script for the guest's bash, run in an empty folder. Compared with the native run of the same script: standard
output, the exit status, and all files that it leaves behind (names, modes, contents). What a script may use:

    $HERE          this folder
    $SIZE          megabytes, the case's own in CI and in the soak
    $TEXT $BYTES   input files of that size: words in lines; random and structured bytes in turns
    $CC1           the guest's C compiler proper; natively the cross compiler of the same release
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    script: str
    size: int = 1  # of the inputs in CI
    full: int = 100  # and in the soak
    guests: tuple = ("aarch64", "riscv64")


def round_trip(pack, unpack, packed="packed"):
    """Packs $BYTES and $TEXT, keeps the digest of what came out, and unpacks it again."""
    return f"""
        for input in "$BYTES" "$TEXT"; do
            {pack} <"$input" >{packed} || echo "packing ended with $?"
            sha256sum {packed}
            {unpack} <{packed} | cmp - "$input" && echo "the same again"
        done
        rm {packed}"""


CASES = [
    # 110 modules; the driver prints what each function gives back.
    Case("python-modules", 'python3 -B -W ignore "$HERE/modules.py"; find . -type f | sort; rm -rf ./*', 1, 1),
    Case("python-threads", 'python3 -B "$HERE/threads.py" $((SIZE * 200))', 1, 20),
    Case("perl", 'perl "$HERE/features.pl" $((SIZE * 200))', 1, 20),
    Case("bash", 'bash --norc "$HERE/features.sh" $((SIZE * 20))', 1, 100),
    Case("dash", "dash -c 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; done | "
         "{ read -r a; sum=$a; while read -r a; do sum=$((sum+a)); done; echo $sum; }; "
         "trap \"echo bye\" EXIT; set -- a \"b c\"; for w; do echo \"<$w>\"; done; (exit 3); echo $?'", 1, 1),
    Case("coreutils", '. "$HERE/coreutils.sh"'),
    Case("text-tools", '. "$HERE/text-tools.sh"'),

    # A C compiler, its assembler and linker; what they made runs as a child of theirs.
    Case("gcc", """
        gcc -O2 -Wall -o program "$HERE/program.c" -lm && ./program 300
        gcc -O0 -g -static -pthread -o program "$HERE/program.c" -lm && ./program 200
        echo 'int main(void) { return missing; }' | gcc -x c - -o nothing 2>/dev/null || echo "refused: $?"
        rm -f program""", 1, 1),
    Case("make", """
        cp -r "$HERE/make/." . && make -s -j2 && ./tool one two && make -s -q; echo "up to date: $?"
        touch -d '2030-01-01' part.c && make -s -n | grep -c part.c
        make -s clean && make -s -f missing 2>/dev/null; echo "missing: $?" """, 1, 1),
    Case("cc1", '"$CC1" -quiet -O2 -fno-ident "$HERE/program.c" -o program.s', 1, 1),

    Case("sqlite3", """
        sqlite3 -batch base.db "create table t (id integer primary key, name text, data blob, value real);
            with recursive n(i) as (select 1 union all select i + 1 from n where i < $SIZE * 1000)
            insert into t select i, 'name ' || (i * 7919 % 10007), zeroblob(400) || hex(i * i), i * 4.0 from n;
            create index by_name on t (name, value);"
        sqlite3 base.db "select count(*), sum(length(data)), round(total(value), 3), count(distinct name) from t;
            select name, count(*) c, max(id) from t group by name order by c desc, name limit 5;
            pragma integrity_check;"
        sqlite3 base.db .dump >dump.sql && sqlite3 again.db <dump.sql && sqlite3 again.db .dump | cmp - dump.sql
        sqlite3 again.db "begin; delete from t where id % 3 = 0; rollback; delete from t where id % 2 = 0; vacuum;
            pragma integrity_check; select count(*), group_concat(id % 10, '') from (select id from t limit 40);"
        sqlite3 -json again.db "select json_extract('{\\"a\\": [1, 2.5]}', '$.a[1]') j, upper(hex(randomblob(0)) <> '') u,
            strftime('%Y-%m-%d %H', 1e9, 'unixepoch') d, printf('%.3e', 12345.678) p"
        sha256sum dump.sql; rm ./*""", 1, 100),
    Case("xz", round_trip("xz -T1 -1 -c", "xz -d -c")),
    Case("xz-threads", round_trip("xz -T2 --block-size=300KiB -0 -c", "xz -d -T2 -c"), 1, 20),
    Case("zstd", round_trip("zstd -q -3 --single-thread", "zstd -q -d")
         + round_trip("zstd -q -9 -T2", "zstd -q -d")),
    Case("gzip", round_trip("gzip -n -6", "gzip -d")),
    Case("bzip2", round_trip("bzip2 -9", "bzip2 -d"), 1, 30),
    Case("openssl", "pass='-pbkdf2 -iter 1000 -k word -S 0011223344556677'"
         + round_trip("openssl enc -aes-256-cbc $pass", "openssl enc -d -aes-256-cbc $pass")
         + round_trip("openssl enc -chacha20 $pass", "openssl enc -d -chacha20 $pass")
         + """
        for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512; do openssl dgst -r -$digest <"$BYTES"; done
        openssl dgst -sha256 -mac HMAC -macopt key:word "$TEXT" | sed 's/(.*)//'""", 1, 100),
    Case("openssl-keys", """
        openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa.pem 2>/dev/null
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem
        openssl genpkey -algorithm ED25519 -out ed.pem
        for key in rsa ec; do
            openssl pkey -in $key.pem -pubout -out public.pem
            openssl dgst -sha256 -sign $key.pem -out signature "$HERE/table.py"
            openssl dgst -sha256 -verify public.pem -signature signature "$HERE/table.py"
            openssl dgst -sha256 -verify public.pem -signature signature "$HERE/modules.py" >/dev/null 2>&1; echo $?
        done
        openssl req -x509 -key ed.pem -subj /CN=mimic -days 2 -config /dev/null -out certificate.pem 2>/dev/null
        openssl x509 -in certificate.pem -noout -subject
        openssl verify -CAfile certificate.pem certificate.pem
        openssl prime -hex FFFFFFFFFFFFFFC5; rm ./*""", 1, 1),
    Case("tar", """
        mkdir -p tree/{a,b/c,empty}; cp "$TEXT" tree/a/text; head -c 300000 "$BYTES" >tree/b/bytes
        ln -s ../a/text tree/b/link; ln tree/a/text tree/b/c/hard; chmod 600 tree/b/bytes; touch -d @1e9 tree/a/text
        truncate -s 5M tree/sparse; find tree -exec touch -h -d @1000000000 {} +
        for flag in '' z j J --zstd; do
            tar -c $flag -S --sort=name --owner=0 --group=0 --numeric-owner -f packed.tar tree && sha256sum packed.tar
            mkdir out && tar -x -f packed.tar -C out && diff -r tree out/tree && echo equal
            rm -rf out
        done
        tar -tvf packed.tar | sort; rm -rf packed.tar tree""", 1, 30),
    Case("dpkg-deb", """
        mkdir -p package/DEBIAN package/usr/share/x; cp "$TEXT" package/usr/share/x/text
        printf 'Package: x\\nVersion: 1.2\\nArchitecture: all\\nMaintainer: X <x@example.org>\\nDescription: x\\n' \\
            >package/DEBIAN/control
        chmod -R go-w package; export SOURCE_DATE_EPOCH=1000000000; find package -exec touch -d @1000000000 {} +
        dpkg-deb --root-owner-group -Zxz -b package x.deb && sha256sum x.deb
        dpkg-deb -f x.deb Version; dpkg-deb -x x.deb out && cmp out/usr/share/x/text "$TEXT" && echo equal
        dpkg --compare-versions 1.10~rc1 lt 1.10 && echo less; rm -rf ./*""", 1, 20),
]
