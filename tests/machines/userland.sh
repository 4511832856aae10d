#!/bin/sh
# /init of a machine whose system lies on its disk: modules that the disk needs, then the system's own init.
. /begin
for module in $(cat /modules/order 2>/dev/null); do insmod "/modules/$module"; done
mkdir -p /system
mount -t ext4 -o ro /dev/vda /system || exec sh
for each in proc sys dev; do mount --move /$each /system/$each; done
exec switch_root -c /dev/console /system /sbin/init
