#!/bin/sh
# /init of the counted boots: disk, network and random numbers at work on all processors, and nothing of the world outside.
. /begin
echo "INIT-START CPUS $(nproc)"
for module in $(cat /modules/order 2>/dev/null); do insmod "/modules/$module"; done
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -t 5 -s /bin/udhcpc.sh && echo "NET-DHCP-OK"
ping -c 3 -W 3 10.0.2.2 && echo "NET-PING-OK"
echo "RANDOM $(dd if=/dev/hwrng bs=64 count=16 2>/dev/null | md5sum)"
echo "RANDOM $(dd if=/dev/urandom bs=64 count=16 2>/dev/null | md5sum)"
mount -t ext4 /dev/vda /mnt
echo "DISK $(cat /mnt/hello)"
(i=0; while [ $i -lt 40 ]; do echo "$i" > /mnt/many$i; i=$((i+1)); done) &
dd if=/dev/urandom of=/mnt/blob bs=4096 count=500 2>/dev/null
wait
sync
echo 3 > /proc/sys/vm/drop_caches
echo "BLOB $(md5sum < /mnt/blob)"
umount /mnt
grep virtio /proc/interrupts
echo "DATE $(date -u)"
echo "MILESTONE-OK uptime $(cut -d' ' -f1 /proc/uptime)"
poweroff -f
