#!/bin/sh
# /init of the virtio boots: network up, a download to the disk and back from it, a server for the host. With again=1 on its command
# line it then starts the machine anew, which the disk remembers.
. /begin
echo "INIT-START"
for word in $(cat /proc/cmdline); do
  case $word in port=*) port=${word#port=};; again=*) again=${word#again=};; esac
done
for module in $(cat /modules/order 2>/dev/null); do insmod "/modules/$module"; done
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -t 5 -s /bin/udhcpc.sh && echo "NET-DHCP-OK"
ping -c 1 -W 3 10.0.2.2 && echo "NET-PING-OK"
echo "HWRNG $(cat /sys/class/misc/hw_random/rng_current)"
dd if=/dev/hwrng bs=64 count=16 2>/dev/null | wc -c
mount -t ext4 /dev/vda /mnt
if [ -e /mnt/again ]; then
  umount /mnt
  echo "STARTED-AGAIN"
  poweroff -f
fi
echo "DISK $(cat /mnt/hello)"
wget -q -O /mnt/blob "http://10.0.2.2:$port/blob"
echo "DOWNLOAD $(md5sum < /mnt/blob)"
mkdir /mnt/many
i=0
while [ $i -lt 100 ]; do echo "$i" > /mnt/many/$i; i=$((i+1)); done
rm /mnt/many/7 /mnt/many/77
umount /mnt
echo 3 > /proc/sys/vm/drop_caches
mount -t ext4 -o ro /dev/vda /mnt
echo "AGAIN $(md5sum < /mnt/blob)"
httpd -p 80 -h /mnt
grep virtio /proc/interrupts
echo "SERVES"
n=0
while [ $n -lt 60 ] && ! grep -q 1 /tmp/fetched 2>/dev/null; do
  sleep 1
  n=$((n+1))
  # The host's connection shows as one that waits for its end.
  netstat -tn | grep -q ":80 .*TIME_WAIT\|:80 .*FIN_WAIT\|:80 .*CLOSE_WAIT" && echo 1 > /tmp/fetched
done
killall httpd
sleep 1
umount /mnt
echo "MILESTONE-OK uptime $(cut -d' ' -f1 /proc/uptime)"
if [ -n "$again" ]; then
  mount -t ext4 /dev/vda /mnt
  echo 1 > /mnt/again
  umount /mnt
  reboot -f
fi
sync
poweroff -f
