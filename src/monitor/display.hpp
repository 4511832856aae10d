// Screens and input as the monitors' commands reach them. Internal to the room.
#pragma once
#include "display/input.hpp"
#include "monitor/monitor.hpp"

namespace mimic::monitor {

// By device and head, or the first there is. Null without an error: the machine has none. Errors: not_found for a device that is
// not there; it has no such console; a head without a device.
Result<display::Console*> find_console(Monitor& m, const std::optional<std::string>& device, std::optional<u64> head);

struct ScreendumpRequest {
    std::string path;
    std::optional<std::string> device;
    std::optional<u64> head;
    bool png = false;
};
io::Task<Result<void>> screendump(Monitor& m, ScreendumpRequest request);

// Presses the keys in their order, holds them, and releases them in the other one. Errors: the machine does not run; too much
// waits already.
Result<void> send_keys(Monitor& m, std::span<const display::Key* const> keys, u64 milliseconds);
// Events that belong together. Errors: the machine does not run; nobody takes one of them (those before it are sent).
Result<void> send_input(Monitor& m, const display::Console* console, std::span<const display::InputEvent> events);
inline constexpr u64 default_hold = 100; // milliseconds

} // namespace mimic::monitor
