// User and group ids of a thread as the guest sees them where Mimic pretends owners: the kernel knows one id alone there.
// credentials(7), setresuid(2), setfsuid(2).
#pragma once
#include "base/types.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace mimic::user {

// Real, effective, saved and file system id, of users or of groups.
struct Ids {
    u32 real = 0, effective = 0, saved = 0, fs = 0;
    bool operator==(const Ids&) const = default;
};

struct Credentials {
    Ids uid, gid;
    std::vector<u32> groups;

    bool privileged() const { return uid.effective == 0; }
    // "0:0:0:0/0:0:0:0/4:20"; parse gives false for anything else.
    std::string text() const;
    bool parse(std::string_view text);
};

// The calls' rules; -1 leaves an id as it is. 0 or -errno. `privileged`: CAP_SETUID or CAP_SETGID.
i64 set_id(Ids& ids, u32 id, bool privileged);                                  // setuid
i64 set_re_ids(Ids& ids, u32 real, u32 effective, bool privileged);             // setreuid
i64 set_res_ids(Ids& ids, u32 real, u32 effective, u32 saved, bool privileged); // setresuid
u32 set_fs_id(Ids& ids, u32 id, bool privileged);                               // setfsuid: the old one

} // namespace mimic::user
