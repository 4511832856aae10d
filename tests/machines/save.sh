#!/bin/sh
# /init of the boots that are saved and loaded: disk, network and processors at work, then a look at what came of it.
. /begin
echo "INIT-START"
for word in $(cat /proc/cmdline); do
  case $word in port=*) port=${word#port=};; rounds=*) rounds=${word#rounds=};; churn=*) churn=${word#churn=};; esac
done
for module in $(cat /modules/order 2>/dev/null); do insmod "/modules/$module"; done
ip link set lo up
ip link set eth0 up
until udhcpc -i eth0 -n -q -t 5 -s /bin/udhcpc.sh; do :; done
echo "NET-DHCP-OK"
mount -t ext4 /dev/vda /mnt
# Reads of the disk again and again, in another process.
( while [ ! -e /tmp/done ]; do cat /mnt/[0-9]* >/dev/null 2>&1; echo 1 > /proc/sys/vm/drop_caches; sleep 1; done ) &
# Memory that is written all the time, and looked at: $churn KiB.
[ -n "$churn" ] && ( turns=0
  while [ ! -e /tmp/done ]; do
    dd if=/dev/urandom of=/tmp/a bs=1k count="$churn" 2>/dev/null
    sum=$(md5sum < /tmp/a)
    cp /tmp/a /tmp/b
    [ "$sum" = "$(md5sum < /tmp/b)" ] || echo "CHURN BAD"
    turns=$((turns+1))
  done
  echo "CHURNED $turns" ) &
i=0
while [ $i -lt "$rounds" ]; do
  dd if=/dev/urandom of=/mnt/$i bs=64k count=4 2>/dev/null
  md5sum < /mnt/$i > /tmp/$i.sum
  sync
  # A connection that was open when the machine was saved is gone: the next one is not.
  until timeout 10 wget -q -O /tmp/blob "http://10.0.2.2:$port/blob"; do echo "AGAIN $i"; done
  echo "ROUND $i $(md5sum < /tmp/blob)"
  i=$((i+1))
done
: > /tmp/done
wait
umount /mnt
echo 3 > /proc/sys/vm/drop_caches
mount -t ext4 /dev/vda /mnt
good=0
i=0
while [ $i -lt "$rounds" ]; do
  [ "$(md5sum < /mnt/$i)" = "$(cat /tmp/$i.sum)" ] && good=$((good+1))
  i=$((i+1))
done
umount /mnt
echo "FILES $good GOOD"
echo "MILESTONE-OK uptime $(cut -d' ' -f1 /proc/uptime)"
sync
poweroff -f
