// The options of devices and of what is behind them: -drive, -device, -global, -chardev, -netdev, -nic.
#pragma once
#include "app/system/options.hpp"

namespace mimic::app {

Result<void> add_drive(SystemOptions& o, std::string_view value);
Result<void> add_device(SystemOptions& o, std::string_view value);
Result<void> add_chardev(SystemOptions& o, std::string_view value);
Result<void> add_global(SystemOptions& o, std::string_view value);
Result<void> add_netdev(SystemOptions& o, std::string_view value);
Result<void> add_nic(SystemOptions& o, std::string_view value);
Result<void> add_net(SystemOptions& o, std::string_view value);
// -hda to -hdd, -cdrom: place `index` of the board's disks.
Result<void> add_disk(SystemOptions& o, std::string_view path, u32 index, bool cdrom = false);

} // namespace mimic::app
