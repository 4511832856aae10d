// <linux/virtio_net.h>, which has a member called `class`.
#pragma once
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_types.h>
#define class class_
#include <linux/virtio_net.h>
#undef class
