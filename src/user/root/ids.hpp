// Maps of user namespaces: who may have which ids. user_namespaces(7), subuid(5), newuidmap(1).
#pragma once
#include "base/result.hpp"
#include "base/types.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace mimic::user {

struct IdRange {
    u64 first = 0, count = 0;
    bool operator==(const IdRange&) const = default;
};

// The first range that a file like /etc/subuid gives the user, by number or by name; count 0: none.
IdRange subordinate_ids(std::string_view text, std::string_view name, u32 uid);
// The name that text like /etc/passwd gives the user; empty: none.
std::string user_name(std::string_view passwd, u32 uid);

// True when newuidmap, newgidmap and ranges of at least 65536 ids are there for the caller.
bool can_map_ids();
// Maps for the process `pid`, which has just got its user namespace: uid and gid (which others than root may choose as
// their own alone) as root, and with `mapped` a range of the caller's subordinate ids from 1 on.
Result<void> write_id_maps(int pid, bool mapped, u32 uid, u32 gid);
// How many ids the caller's own namespace knows.
u64 known_ids();

} // namespace mimic::user
