// Answers to packets that are no data. Internal to the room.
#pragma once
#include <string_view>

namespace mimic::gdb::reply {

inline constexpr std::string_view ok = "OK";
// Error numbers mean nothing to gdb; these are errno's.
inline constexpr std::string_view bad_address = "E0e", bad_packet = "E16", bad_thread = "E03";

} // namespace mimic::gdb::reply
