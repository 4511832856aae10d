# coreutils: each program once at least, in pipelines. Sourced by bash in an empty folder.
head -n 20000 "$TEXT" >text
head -c 200000 "$BYTES" >bytes
for sum in md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum; do $sum bytes text; done
sha256sum text bytes >sums && sha256sum -c sums
sort text | md5sum; sort -R --random-source=bytes text | md5sum; sort -k2,2r -k1,1n -s text | md5sum
tr -s ' ' '\n' <text | sort | uniq -c | sort -k1,1nr -k2 | head -n 20
tr -s ' ' '\n' <text | sort -u >words; wc text words; wc -L text; shuf --random-source=bytes -n 5 words
sort --parallel=2 -S 1M text | sort -c && echo sorted; sort -m <(sort -n words) <(sort -n words) | md5sum
cut -d ' ' -f 2,4- text | md5sum; cut -c 3-9 text | paste -s -d '+,' | md5sum; paste -d : words words | tail -n 2
comm -12 <(head -n 500 words) <(tail -n +200 words) | wc -l; join <(head words) <(tail -n +3 words | sed 's/$/ x/' | head)
split -b 50000 bytes part. && cat part.* | cmp - bytes && ls part.* && rm part.*
split -n l/3 -d text lines. && wc -l lines.* && rm lines.*; csplit -s -f piece. text 100 '{2}' && wc -c piece.* && rm piece.*
od -A x -t x2z -N 64 bytes; od -t f8 -j 8 -N 16 bytes; base64 bytes | base64 -d | cmp - bytes; base32 -w 40 bytes | tail -n 1
basenc --z85 -w 30 <(head -c 40 bytes); tac text | md5sum; rev text 2>/dev/null | md5sum >/dev/null; nl -b a -w 3 text | tail -n 1
fold -s -w 33 text | md5sum; fmt -w 50 text | md5sum; pr -2 -h title -l 20 -D date words | head -n 15; expand -t 3 text | md5sum
unexpand -a text | md5sum; ptx -w 40 <(head -n 3 text) | head -n 5; tsort <<<$'a b\nb c\na c'; factor 1234567890123456789 97 360
seq -w 1 3 10; seq 0.5 0.25 1.5; seq -s, 5; numfmt --to=iec 123456789; numfmt --from=si 1.5M; expr 7 \* 6 + 1; expr abcde : 'a\(.*\)e'
printf '%08.3f %s %c %o\n' 3.14159 word x 64; echo -e 'a\tb\x41\0101'; yes no | head -n 3; true; false; echo $?; test 5 -gt 3 && echo gt
date -u -d '2024-02-29 12:34:56 + 1 year' '+%F %T %s %A %V'; date -u -d @1000000000 -R; basename -s .c a/b.c; dirname a/b/c; pathchk a/b && echo ok
realpath -m a/../b --relative-to=.; readlink -m /x/../y; mktemp -u XXXX | wc -c; nproc >/dev/null && echo n; uname -s; arch >/dev/null && echo arch
mkdir -p d/e/f && touch -d '2001-02-03 04:05:06 UTC' d/e/f/g && stat -c '%n %s %Y %a %F %h' d/e/f/g && ln d/e/f/g d/hard && ln -s e/f/g d/soft
find d -exec touch -h -d @1000000000 {} + ; cp -a d copy && ls -lR --time-style=+%s copy | awk '{print $1, $2, $5, $6, $7, $8, $9}' && du -a --apparent-size copy/e/f/g | cut -f 2
mv copy/hard copy/moved && mv -n copy/moved copy/soft; ls copy; install -m 751 text copy/installed && stat -c %a copy/installed
chmod -R u=rwX,go= copy && stat -c '%A %n' copy copy/installed; truncate -s 100K sparse && stat -c %s sparse && rm sparse
dd if=bytes of=block bs=1000 skip=3 count=7 conv=swab status=none && md5sum block; dd if=text bs=17 count=3 conv=ucase status=none
mkfifo pipe && (cat <text >pipe &) && md5sum <pipe && rm pipe; rmdir d 2>/dev/null || echo "not empty"; rm -rf d; link text text2 && unlink text2
head -n -19998 text; tail -c 30 text; tail -n +19999 text; tee a b <words | md5sum; cmp a b && echo same; cmp a text; vdir -d a | cut -c 1-10
env -i A=1 B=2 env | sort; env -u HOME sh -c 'echo "${HOME-unset}"'; timeout 0.05 sleep 9; echo $?; timeout -s KILL 0.05 sleep 9; echo $?
nice -n 5 nice; nohup echo up 2>/dev/null; stdbuf -oL echo line; (sleep 0.01 & wait); tty; who | wc -l >/dev/null; id -u >/dev/null && echo id
sh -c 'kill -9 $$'; echo $?; printenv LC_ALL; logname >/dev/null 2>&1; groups >/dev/null && echo groups; dircolors -b | head -c 10; echo
shred -u -n 1 block && ls; df . >/dev/null && echo df; sync text && echo synced; hostid | wc -c; stty size 2>/dev/null || echo "no terminal"
chown "$(id -u):$(id -g)" a && chgrp "$(id -g)" a && echo owned; runcon 2>/dev/null; [ a = a ] && echo equal; pinky 2>/dev/null >/dev/null; sleep 0
rm -rf ./*
