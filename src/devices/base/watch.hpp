// Looking at devices from beside. Tests may define watch(); programs do not, and pay a branch for each access.
#pragma once
#include "base/types.hpp"

namespace mimic::devices {

class Device;

// Inside the device's context: after each reset; after reads, timers and input; before writes, a save, a load and its end.
enum class Moment : u8 { reset, change, end };
[[gnu::weak]] void watch(Device& device, Moment moment);

} // namespace mimic::devices
