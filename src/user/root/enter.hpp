// Entering a foreign root file system: namespaces, ids, mounts, and the processes around the program.
//
//   the caller        waits, hands on signals, ends as the program ended
//   pid 1             of the new pid namespace: reaps what is left behind; its end ends everything
//   the program       returns from enter_root
//
// Ids, from the best that the host allows: `real` (root: owners, modes and devices are the kernel's business), `mapped`
// (newuidmap(1) and /etc/subuid give a range of real ids), `pretended` (the namespace knows one id; Mimic keeps owners
// and devices in a database beside the directory). Where devices can't be made they are pretended in any case.
// user_namespaces(7), pid_namespaces(7), mount_namespaces(7), subuid(5).
#pragma once
#include "base/result.hpp"
#include "user/root/owners.hpp"
#include <memory>
#include <string>
#include <vector>

namespace mimic::user {

enum class IdMode : u8 { automatic, real, mapped, pretended };

struct RootOptions {
    std::string directory; // empty: no root is entered
    IdMode ids = IdMode::automatic;
    std::string owners; // file of the database; empty: DIRECTORY.mimic-owners
    bool proc = true, dev = true, sys = true, resolv = false;
    struct Bind {
        std::string host, inside;
    };
    std::vector<Bind> binds;
    std::string work = "/"; // working directory inside
    std::string cache;      // of translated code, the caller's; empty: none
};

// What the program's process has of it. Descriptors lie above those that programs get, and stay open over exec.
struct EnteredRoot {
    int self = -1;        // Mimic's own file
    int cache = -1;       // the root's cache of translated code, as an O_PATH descriptor
    std::string no_cache; // why there is none
    std::unique_ptr<Owners> owners;
};

// Returns in the program's process alone. The caller's ends with the program's status, or with 125 after one line on
// standard error when the root can't be set up. Must be called with one thread running. Fails, before anything is
// changed, when the directory or the database is not as expected.
Result<EnteredRoot> enter_root(const RootOptions& options);

// The ids that enter_root would choose. `reason` says why.
IdMode choose_ids(const RootOptions& options, std::string& reason);

// A copy of `fd` above the soft limit of descriptors (or, without such a place, at its end), open over exec; `fd` is
// closed. -errno.
int keep_descriptor(int fd);

} // namespace mimic::user
