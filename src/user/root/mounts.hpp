// What a foreign root gets mounted. mount(2), proc(5), devpts in mount(8).
#pragma once
#include "user/root/enter.hpp"

namespace mimic::user {

// In a mount namespace of our own: makes `directory` (absolute) the root with what the options ask for, and goes to the
// working directory. Nothing is followed out of the directory.
Result<void> mount_root(const std::string& directory, const RootOptions& options);

} // namespace mimic::user
