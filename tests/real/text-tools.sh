# grep, sed, awk, find, xargs, diff: programs that are all pattern matching and tables. Sourced by bash in an empty folder.
head -n 15000 "$TEXT" >text
grep -c 'th' text; grep -E '\b(\w)\w*\1\b' text | md5sum; grep -o -w -i -n 'the[a-z]*' text | md5sum; grep -vF -f <(head -n 5 text) text | wc -l
grep -P '(?<=a)t(?!h)' text | md5sum; grep -r -l hr . ; grep -A1 -B2 -m 2 -b 'lru' text; echo aXb | grep -E '^(a|b)*X'; grep -z . text | md5sum
sed -n '10,12p;$=' text; sed -E 's/(\w+) (\w+)/\2 \1/g; y/abc/xyz/; /^$/d' text | md5sum; sed '1~3d;s/ /\n/2;P;D' text | md5sum
sed -i.old -e '1i\first' -e '$a\last' -e '2,4{s/e/E/g}' text && cmp text text.old; tail -n 1 text; sed --debug -n 'x;G;1!h' <<<x | head -n 2
sed ':a;N;$!ba;s/\n/,/g' <(head -n 200 text) | md5sum; mv text.old text
awk '{for (i = 1; i <= NF; i++) n[$i]++} END {for (w in n) if (n[w] > 700) print w, n[w]}' text | sort
awk 'BEGIN {for (i = 0; i < 20; i++) printf "%d %.6f %s\n", i * i, sin(i) + exp(-i), substr("abcdefghij", i % 10, 3)}'
awk -F '[aeiou]+' -v OFS=- 'NR % 1000 == 0 {$2 = toupper($2); print; n += gsub(/t/, "T")} END {print n, length($0), index($0, "h")}' text
awk 'function f(n) {return n < 2 ? n : f(n - 1) + f(n - 2)} BEGIN {print f(17); while (("seq 3" | getline x) > 0) print "got " x; srand(1)}'
awk '{split($0, a, / /); print a[1] | "sort -u | wc -l"; if (match($0, /r[a-z]s/)) s[RSTART]++} END {close("sort -u | wc -l"); print s[5]}' text
mkdir -p t/{a,b}/{c,d}; for i in 1 2 3; do echo "$i" >t/a/c/f$i.x; cp t/a/c/f$i.x t/b/d/g$i.y; done; chmod 600 t/b/d/g1.y; ln -s ../a t/b/l
find t | sort; find t -name '*.x' -newer t/b -o -type l | sort; find t -type f -perm 600 -size -2 -printf '%p %s %m %d\n'; find -L t -samefile t/a/c/f1.x | sort
find t -type f -print0 | sort -z | xargs -0 -n 2 -P 1 echo batch; find t -name 'f?.x' -exec cat {} + | sort; find t -type d -empty; find t -regex '.*/[fg]1\..' | sort
seq 40 | xargs -P 4 -I {} sh -c 'echo $(({} * {}))' | sort -n | tail -n 2; seq 5 | xargs -n 1 sh -c 'exit $0' ; echo "xargs $?"; echo "a 'b c' d" | xargs -n 1
diff -u <(head -n 50 text) <(head -n 50 text | sed '10d;20s/e/E/;30a new') | tail -n +3; diff -q t/a/c t/b/d; diff -y -W 40 <(seq 3) <(seq 2 4); diff3 <(seq 3) <(seq 4) <(seq 0 3) | head -n 3
sdiff -s <(seq 3) <(seq 2 4); cmp <(seq 3) <(seq 4); find t -type f -delete; find t -depth -type d -empty -exec rmdir {} + 2>/dev/null; rm -rf ./*
