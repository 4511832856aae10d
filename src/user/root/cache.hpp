// The cache of translated code for the programs in a root: a directory of the root's own below the user's cache, so that what
// programs inside write is executed inside alone, handed to them as a descriptor of a mount that is nowhere: from it no ".."
// leads out.
//
// Its files are in a directory for each user inside, which processes of that user make (open_user_cache): uUID.
#pragma once
#include "base/result.hpp"
#include <string>
#include <sys/stat.h>
#include <vector>

namespace mimic::user {

// Whose files they are, and which root's.
struct RootCacheOwner {
    u32 uid = 0, gid = 0; // on the host
    bool many = false;    // programs have other users than this one, too, whose files it may remove
    std::string root;     // directory
};

// Makes `cache`/roots/ID where it isn't there (then those that were not used for longest may go, see most_root_caches), and
// gives its path. ID is a hash of the root directory's identity and the user.
Result<std::string> make_root_cache(const std::string& cache, const RootCacheOwner& owner);
inline constexpr u32 most_root_caches = 32;

// The directory as a mount of its own that is attached nowhere, without set-id bits, devices or execution: what can be
// opened relative to it lies in it. Needs CAP_SYS_ADMIN in the mount namespace. open_tree(2).
Result<int> open_apart(const std::string& directory);
// In the root: the directory of the effective user's in what open_apart gave.
Result<int> open_user_cache(int apart);

// The directories of users that there are below `cache`, a descriptor: names relative to it.
std::vector<std::string> root_caches(int cache);
// Removes them with all their files of units; how many files went.
u64 clear_root_caches(int cache);

} // namespace mimic::user
