// What the two halves of base/module.hpp share.
#pragma once
#include "base/module.hpp"
#include <map>
#include <mutex>

namespace mimic::modules {

struct State {
    std::mutex lock;
    Result<const Head*> (*load)(std::string_view, unsigned) = nullptr;
    std::map<std::string, const Head*, std::less<>> open;
    std::function<void()> hand_over;
};
State& state();

} // namespace mimic::modules
