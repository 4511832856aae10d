// Guest paths to host paths: absolute ones are looked up under the sysroot first.
#pragma once
#include "base/types.hpp"
#include <string>
#include <string_view>

namespace mimic::user {

class Paths {
public:
    // `sysroot`: a directory, or empty. It is made absolute, so that chdir doesn't move it.
    void set_sysroot(std::string_view sysroot);
    const std::string& sysroot() const { return sysroot_; }
    // The host path for a guest path that is to be looked at: the one under the sysroot when something is there, with
    // symbolic links resolved as if the sysroot were the root directory; otherwise the path itself. `follow`: also a
    // link at the end.
    std::string lookup(const std::string& path, bool follow = true) const;

private:
    std::string inside(const std::string& path, bool follow) const;
    std::string sysroot_;
};

} // namespace mimic::user
