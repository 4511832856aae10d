#!/bin/sh
# /init of the balloon's boot: fills memory and frees it, then tells on each line of input how much there is.
. /begin
echo "INIT-START"
for module in $(cat /modules/order 2>/dev/null) virtio_balloon.ko; do insmod "/modules/$module"; done
# Once touched, pages are the host's too.
mount -t tmpfs -o size=300m none /mnt
dd if=/dev/zero of=/mnt/blob bs=1M count=200 2>/dev/null
rm /mnt/blob
echo "READY"
while read -r word; do
  case $word in end) break;; esac
  awk -v word="$word" '/^MemTotal|^MemFree/ { v[$1] = $2 } END { print "MEMORY " word " " v["MemTotal:"] " " v["MemFree:"] }' /proc/meminfo
done
echo "MILESTONE-OK"
poweroff -f
