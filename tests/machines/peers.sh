#!/bin/sh
# /init of machines that talk to each other, or to their host over a tap interface: addresses by hand, ping, a download each way.
. /begin
echo "INIT-START"
for word in $(cat /proc/cmdline); do
  case $word in ip=*|own=*|peer=*|bytes=*) eval "${word%%=*}=${word#*=}";; esac
done
for module in $(cat /modules/order 2>/dev/null); do insmod "/modules/$module"; done
ip link set lo up
ip link set eth0 up
ip addr add "$own/24" dev eth0
dd if=/dev/urandom of=/tmp/blob bs=65536 count=$((bytes / 65536)) 2>/dev/null
echo "BLOB $(md5sum < /tmp/blob)"
httpd -p 80 -h /tmp
n=0
until ping -c 1 -W 1 "$peer" > /dev/null; do n=$((n+1)); [ $n -lt 120 ] || break; done
ping -c 3 -W 5 "$peer" && echo "PING-OK"
n=0
until wget -q -O /tmp/fetched "http://$peer:80/blob"; do n=$((n+1)); [ $n -lt 120 ] || break; sleep 1; done
echo "FETCHED $(md5sum < /tmp/fetched)"
touch /tmp/done
n=0
until wget -q -O /dev/null "http://$peer:80/done"; do n=$((n+1)); [ $n -lt 240 ] || break; sleep 1; done
cat /sys/class/net/eth0/carrier
sleep 2
killall httpd
echo "MILESTONE-OK uptime $(cut -d' ' -f1 /proc/uptime)"
poweroff -f
