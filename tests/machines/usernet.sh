#!/bin/sh
# /init of the boots with a user network that lets nothing out: what it answers itself is there, the host is not.
. /begin
echo "INIT-START"
for word in $(cat /proc/cmdline); do
  case $word in port=*) port=${word#port=};; esac
done
for module in $(cat /modules/order 2>/dev/null); do insmod "/modules/$module"; done
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -t 5 -s /bin/udhcpc.sh && echo "NET-DHCP-OK"
n=0
while [ $n -lt 10 ] && ! ip -6 addr show dev eth0 | grep -q 'fec0.*dynamic'; do
  sleep 1
  n=$((n+1))
done
ip -6 addr show dev eth0 | grep -q 'fec0::5054:ff:fe12:3456/64' && echo "ADDRESS6-OK"
ping6 -c 1 -W 5 fec0::2 > /dev/null && echo "PING6-OK"
echo "hello there" | nc -w 5 10.0.2.100 1234 | sed 's/^/GUESTFWD /'
timeout 20 wget -q -O /tmp/forwarded http://10.0.2.101/blob
echo "FORWARDED $(md5sum < /tmp/forwarded)"
tftp -g -r blob -l /tmp/blob 10.0.2.2
echo "TFTP $(md5sum < /tmp/blob)"
# That it fails says something only if there is a server to come to.
if [ -z "$port" ]; then
  echo "RESTRICT-UNKNOWN no port on the command line"
elif timeout 5 wget -q -O /tmp/out "http://10.0.2.2:$port/blob"; then
  echo "RESTRICT-BROKEN"
else
  echo "RESTRICT-OK"
fi
echo "MILESTONE-OK uptime $(cut -d' ' -f1 /proc/uptime)"
poweroff -f
