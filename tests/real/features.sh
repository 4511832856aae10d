# What bash has: expansion, arrays, patterns, jobs, traps, redirections, coprocesses. No other programs but where said.
size=$1
shopt -s extglob nullglob globstar lastpipe
declare -A map=([one]=1 [two]=2 ["three four"]=34)
declare -a list=(a b "c d" e)
declare -i number=7*6
declare -r fixed=yes
echo "${!list[@]} ${#list[@]} ${list[*]:1:2} ${list[-1]} ${map[three four]} $number ${#map[@]}"
list+=(f) && unset 'list[1]' && echo "${!list[*]}"
name="path/to/some.file.txt"
echo "${name##*/} ${name%.*} ${name/o/0} ${name//o/0} ${name^^} ${name:5:2} ${name: -3} ${#name} ${none:-default} ${name@Q}"
echo {1..5} {a..e..2} {x,y}{1,2} $((2 ** 40 % 1000003)) $((0x1f | 8#17)) $((number > 3 ? 1 : 2)) "$((i = 5, i++ + ++i))"
[[ abc123 =~ ^([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[1]}-${BASH_REMATCH[2]}"
case foobar in +(foo|bar)) echo extended ;;& *bar) echo also ;; esac
for ((sum = 0, i = 1; i <= size; i++)); do ((sum += i * i, i % 7 == 0)) && continue; ((i > size - 2)) && break; done
echo "$sum"
fib() { local n=$1; ((n < 2)) && { echo "$n"; return; }; echo $(($(fib $((n - 1))) + $(fib $((n - 2))))); }
fib 8
while IFS=: read -r user _ id rest; do echo "$user=$id[$rest]"; done <<<$'root:x:0:0:r\nnobody:x:65534:1:n'
cat <<-END | { read -r first; mapfile -t more; echo "$first and ${#more[@]} ${more[-1]}"; }
	here $name
	$(echo nested $(echo substitution))
	last \$literal
	END
printf '%s\n' 3 1 2 | sort | { mapfile -t sorted; echo "${sorted[@]}"; }
printf '%05d|%-6s|%x|%.3f|%q|%b|%(%Y)T\n' 42 left 255 3.14159 "it's" 'a\tb' 0
diff <(printf '1\n2\n3\n') <(printf '1\n3\n') ; echo "status $?"
echo text | tee >(cat >copy) >/dev/null; wait; while [ ! -s copy ]; do :; done; cat copy
exec 5<>file && echo "through five" >&5 && cat file && exec 5>&-
{ echo out; echo err >&2; } 2>&1 >all | sed 's/^/piped: /'; cat all
false | true | false; echo "${PIPESTATUS[@]}"
(set -e; false; echo unreachable); echo "subshell $?"
set -o pipefail; false | true; echo "pipefail $?"; set +o pipefail
trap 'echo "trapped USR1"' USR1
kill -USR1 $$
(trap 'echo child term; exit 5' TERM; kill -TERM $BASHPID; echo not here); echo "child $?"
sleep 30 & pid=$!; kill $pid; wait $pid 2>/dev/null; echo "killed $?"
(exit 3) & one=$!; (exit 4) & two=$!; wait $one; a=$?; wait $two; echo "$a $?"
pids=(); for i in {1..10}; do (exit $((i % 3))) & pids+=($!); done; failed=0; for pid in "${pids[@]}"; do wait "$pid" || ((failed++)); done; echo "$failed"
coproc up { while read -r line; do echo "${line^^}"; done; }
echo "to the coprocess" >&"${up[1]}"; read -r answer <&"${up[0]}"; echo "$answer"; eval "exec ${up[1]}>&-"; wait
read -r -t 0.05 nothing < <(sleep 1); echo "timeout $(($? > 128))"
mkdir -p glob/{a,b/c} && touch glob/{1,2}.txt glob/a/3.txt glob/b/c/4.dat && echo glob/**/*.txt glob/!(*.txt)
[ -d glob ] && [ ! -e none ] && [ glob/1.txt -ef glob/1.txt ] && echo tests
command -v echo fib nosuch; nosuch 2>/dev/null; echo "missing $?"; ./copy 2>/dev/null; echo "not executable $?"
printf '#!/bin/bash\necho "$0 $# $1"\n' >script && chmod +x script && ./script "one word"
ulimit -n 77 && ulimit -n; umask 027 && umask; exec 7>seven; echo seven >&7
select choice in x y; do echo "chose $choice"; break; done <<<2 2>/dev/null
for ((i = 0; i < size; i++)); do line+="$((i * 7919 % 97)) "; done
echo "${#line} $(echo $line | tr ' ' '\n' | sort -n | uniq -c | sort -rn | head -n 3 | tr -s ' \n' ' ')"
nameref() { local -n r=$1; r[new]=value; }; nameref map; echo "${map[new]}"
echo "$BASH_SUBSHELL $(echo $BASH_SUBSHELL) ${FUNCNAME-none} $- $# ${*:-none}" | sed 's/[^ ]*B[^ ]*/flags/'
trap 'echo "leaving with $?"' EXIT
exit 6
