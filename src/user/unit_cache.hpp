// The cache of translated code on disk: which file of units belongs to which mapped file of the guest, when they are read,
// when new versions are written, how many there may be.
//
// A file is named by the hash of everything that its units depend on: this build of Mimic, the guest's model, the host, where
// the guest's file is mapped, and its first page there. The guest's bytes themselves are compared with each unit's when it is
// taken (cpu/restore.cpp).
#pragma once
#include "base/sha256.hpp"
#include "cpu/unit_file.hpp"
#include "user/memory/address_space.hpp"
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mimic::cpu {
class CodeSpace;
}

namespace mimic::user {

inline constexpr u64 default_cache_bytes = u64{256} << 20;

// Where the cache is for a process with this environment: $XDG_CACHE_HOME/mimic, else $HOME/.cache/mimic of a home that is the
// effective user's. Empty: nowhere, or the program is set-id.
std::string cache_directory(const char* (*environment)(const char*));

// The cache's directory, opened: of the effective user, not writable by others, not by way of a link. `make`: it is made when
// it isn't there, and its parent.
Result<int> open_cache_directory(const std::string& path, bool make);
Result<int> open_cache_directory(int descriptor); // again, of the same

// Removes the files that were not written for longest until there are at most so many bytes (all with 0); how many went.
u64 evict(int directory, u64 most_bytes);

class UnitCache final : public cpu::UnitStore {
public:
    struct Settings {
        std::string directory;
        int descriptor = -1;                       // of the directory, where its path leads elsewhere; -1: by the path
        u64 most_bytes = default_cache_bytes;      // of all files
        std::string key;                           // all that units depend on, beside the guest's file
        std::function<void(std::string_view)> log; // lines of `-d cache`; may be null
    };
    UnitCache(AddressSpace& memory, Settings settings) : memory_(memory), settings_(std::move(settings)) {}

    // Before the first use.
    void add_to_key(std::string_view text) { settings_.key += text; }

    std::span<const u8> find(u64 pc, u32 mode) override;
    Has has(u64 pc, u32 mode) override;
    u64 unit_of(u64 pc, u32 mode) override;
    // Writes what was translated here, when that is enough to be worth it.
    void save(cpu::CodeSpace& space);
    // In a forked child: what its parent translated is the parent's to write.
    void after_fork(cpu::CodeSpace& space);

private:
    struct Place { // of a mapping of executable pages of a file
        u64 start = 0, offset = 0, id = 0;
        Sha256Digest key;
        std::string name;
        std::optional<cpu::UnitFile> file;
        u32 bad = 0; // units that were not what was saved
    };
    struct Group { // of units that go into a file
        const Place* place;
        cpu::UnitFileWriter writer;
        u32 made_here = 0;
    };
    Place* place_of(u64 pc);
    std::map<const Place*, u32> places_to_write(const cpu::CodeSpace& space); // and how many units are new
    Result<int> open_directory(bool make) const;
    void open(Place& p);
    void write(Group& g, int directory);
    void log(const std::string& text) const {
        if (settings_.log) settings_.log(text);
    }

    AddressSpace& memory_;
    Settings settings_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Place>> places_;
    cpu::UnitBytes scratch_;
    u64 parents_units_ = 0;
    bool forked_ = false;
};

// This build of Mimic: its build id in hexadecimal; empty: it was linked without one.
std::string build_id();

// `mimic cache show|clear|verify [--json]`
int cache_main(std::span<const std::string_view> words);

} // namespace mimic::user
