// Every device type that was built in, sorted by name.
#pragma once
#include "devices/base/device.hpp"

namespace mimic::devices {
std::span<const DeviceType* const> types();
}
