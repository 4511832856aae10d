// `mimic storage-daemon`: disks, their jobs and exports without a machine, steered by QMP. Called through a link it is
// qemu-storage-daemon; the options are that manual's (QEMU documentation, "QEMU Storage Daemon").
#pragma once
#include <span>
#include <string_view>

namespace mimic::storage_daemon {

int storage_daemon_main(std::span<const std::string_view> args);

} // namespace mimic::storage_daemon
