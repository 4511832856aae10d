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
#include <atomic>
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
// effective user's, as the former must be. Empty: nowhere, or the program is set-id.
std::string cache_directory(const char* (*environment)(const char*));

// The cache's directory, opened: of the effective user, not writable by others, not by way of a link. `make`: it is made when
// it isn't there, and its parent.
Result<int> open_cache_directory(const std::string& path, bool make);
// The same of one that `fd`, the result of open, stands for; it is closed when it is none.
Result<int> expect_cache_directory(int fd, std::string_view name);

// Removes the files that were not used for longest until there are at most so many bytes (all with 0); how many went.
u64 evict(int directory, u64 most_bytes);

class UnitCache final : public cpu::UnitStore {
public:
    struct Settings {
        std::string directory;
        int descriptor = -1;                       // in its place: a root's (root/cache.hpp)
        u64 most_bytes = default_cache_bytes;      // of all files
        std::string key;                           // all that units depend on, beside the guest's file
        std::function<void(std::string_view)> log; // lines of `-d cache`; may be null
    };
    UnitCache(AddressSpace& memory, Settings settings);

    // Before the first use.
    void add_to_key(std::string_view text) { settings_.key += text; }

    Said look(u64 pc, u32 mode) override;
    bool take(const Said& said, u64 pc, u32 mode, cpu::UnitBytes& into, cpu::SavedUnit& unit) override;
    // Writes what was translated here, when that is enough to be worth it.
    void save(cpu::CodeSpace& space);
    void log(const std::string& text) const {
        if (settings_.log) settings_.log(text);
    }
    // The process has one thread.
    void set_alone(bool alone) { alone_ = alone; }
    // Around the code space's. In a child: what its parent translated is the parent's to write.
    void before_fork() { saving_.lock(); }
    void after_fork_parent() { saving_.unlock(); }
    void after_fork_child(cpu::CodeSpace& space);

private:
    struct Place { // of a mapping of executable pages of a file
        u64 start = 0, end = 0, offset = 0, id = 0;
        u64 edits = 0; // AddressSpace::mapping_edits() when it was seen to be there
        Sha256Digest key;
        std::string name;
        std::optional<cpu::UnitFile> file;
        u32 bad = 0;              // units that were not what was saved
        std::pair<u64, u64> kept; // CodeSpace::last_units() when a file was kept: what is not new
    };
    using PlaceOf = std::shared_ptr<Place>;
    struct Group { // of units that go into a file
        std::unique_ptr<cpu::NewUnitFile> file;
        cpu::UnitFileWriter writer;
        u32 made_here = 0, ran_here = 0; // what is new
    };
    struct Identity { // of a file
        u64 device = 0, inode = 0;
        bool operator==(const Identity&) const = default;
    };
    static Identity identity(const char* path);
    const PlaceOf& place_of(u64 pc);
    std::vector<PlaceOf> places_to_write(cpu::CodeSpace& space);
    // With descriptors that no thread of the guest sees. False: the host can't.
    bool aside(const std::function<void()>& f) const;
    Result<int> open_directory(bool make);
    void open(Place& p);
    void write_units(cpu::CodeSpace& space, std::map<PlaceOf, Group>& groups, const std::function<bool()>& late);
    u64 complete(const Place& p, Group& g, int directory, const std::function<bool()>& late); // bytes
    void write(cpu::CodeSpace& space, const std::vector<PlaceOf>& chosen, const std::function<bool()>& late);
    AddressSpace& memory_;
    Settings settings_;
    // As they were when the program began: where it has changed its user or its root, there is no cache any more.
    const u32 user_;
    const Identity root_;
    Identity directory_; // 0: it is not there yet
    std::mutex directory_lock_;
    std::mutex saving_; // save(); comes before the code space's lock
    std::atomic<bool> alone_{true};
    // With the code space's lock:
    std::vector<PlaceOf> places_; // those used last come first
};

// This build of Mimic: its build id in hexadecimal; empty: it was linked without one.
std::string build_id();

// `mimic cache show|clear|verify [--json]`
int cache_main(std::span<const std::string_view> words);

} // namespace mimic::user
