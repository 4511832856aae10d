// gdb has numbers of its own for signals, the same on every system (GDB manual, E.3 "Stop Reply Packets"; `info signals`
// lists them in this order). Linux's are those of signal(7), which all ABIs here share.
#include "user/debug/debugger.hpp"
#include <iterator>

namespace mimic::user {

namespace {

// By Linux's number; 143: a signal that gdb has no name for.
constexpr int numbers[] = {0,   1,  2,  3,  4,  5,  6,  10, 8,  9,  30, 11, 31, 13, 14, 15,
                           143, 20, 19, 17, 18, 21, 22, 16, 24, 25, 26, 27, 28, 23, 32, 12};
constexpr int realtime_32 = 77, realtime_33 = 45, realtime_64 = 78; // 33 to 63 follow each other

} // namespace

int gdb_signal(int number) {
    if (number < int(std::size(numbers))) return number < 0 ? 0 : numbers[number];
    if (number == 32) return realtime_32;
    if (number == 64) return realtime_64;
    return number < 64 ? realtime_33 + number - 33 : 0;
}

int signal_of_gdb(int gdb) {
    for (int n = 1; n <= 64; n++)
        if (gdb_signal(n) == gdb) return n;
    return 0;
}

} // namespace mimic::user
