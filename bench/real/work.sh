# What shell scripts do without other programs: arithmetic, arrays, patterns, functions; and some children.
size=$1
declare -A seen
gcd() { local a=$1 b=$2 t; while ((b)); do t=$((a % b)); a=$b; b=$t; done; result=$a; }
sum=0
for ((i = 1; i <= size; i++)); do
    gcd $((i * 7919 % 10007)) $((i * 104729 % 9973))
    sum=$(((sum * 31 + result) % 1000003))
    word="item-$((i % 50))-${i##*[0-4]}"
    case $word in
    *-1*) ((sum += 1)) ;;
    item-[2-3]*) ((sum += ${#word})) ;;
    esac
    seen[${word%-*}]=$i
done
line=
for key in "${!seen[@]}"; do line+="${key/item/k}=${seen[$key]} "; done
echo "$sum ${#seen[@]} ${#line}"
for i in 1 2 3; do (echo "child $i" | while read -r a b; do echo "$b $a"; done); done
