// savevm, loadvm, delvm, info snapshots: they wait for the end, and let the loop go on meanwhile.
#include "migration/snapshots.hpp"
#include "block/options.hpp"
#include "monitor/human/human.hpp"
#include <ctime>

namespace mimic::monitor {

namespace {

using migration::Snapshots;

// The first disk has the state of the machine.
constexpr size_t state = 0;

Result<void> wait_for(HumanCall& c, io::Task<Result<void>> task) { return c.m.machine().loop()->run(std::move(task)); }

Result<void> save(HumanCall& c) {
    std::string tag = c.word();
    if (tag.empty()) {
        time_t now = time(nullptr);
        struct tm local {};
        localtime_r(&now, &local);
        char text[32];
        strftime(text, sizeof text, "vm-%Y%m%d%H%M%S", &local);
        tag = text;
    }
    auto disks = TRY(Snapshots::disks(c.m.machine()));
    return wait_for(c, c.m.vm().snapshots.save(tag, std::move(disks), state, true));
}

Result<void> load(HumanCall& c) {
    std::string tag = c.word();
    if (tag.empty()) return Error::invalid_argument("loadvm: expected the tag of a snapshot");
    auto disks = TRY(Snapshots::disks(c.m.machine()));
    return wait_for(c, c.m.vm().snapshots.load(tag, std::move(disks), state));
}

Result<void> remove(HumanCall& c) {
    std::string tag = c.word();
    if (tag.empty()) return Error::invalid_argument("delvm: expected the tag of a snapshot");
    auto disks = TRY(Snapshots::disks(c.m.machine()));
    return wait_for(c, c.m.vm().snapshots.remove(tag, std::move(disks)));
}

} // namespace

// What can be loaded is on all disks, with the state of a machine on the first.
Result<void> show_snapshots(HumanCall& c) {
    auto disks = TRY(Snapshots::disks(c.m.machine()));
    std::vector<block::SnapshotInfo> whole;
    std::string partial;
    for (size_t i = 0; i < disks.size(); i++) {
        std::vector<block::SnapshotInfo> own;
        for (block::SnapshotInfo& s : block::skip_filters(disks[i].node.get())->snapshots()) {
            bool loads = true;
            for (size_t k = 0; k < disks.size(); k++) {
                auto there = migration::find_moment(*block::skip_filters(disks[k].node.get()), s);
                loads &= there && (k != state || there->vm_state_size);
            }
            if (!loads) own.push_back(s);
            if (!loads || i != state) continue;
            s.id = "--";
            whole.push_back(s);
        }
        if (!own.empty())
            partial += fmt::format("\nList of partial (non-loadable) snapshots on '{}':\n{}", disks[i].name,
                                   block::snapshot_table(own));
    }
    if (whole.empty() && partial.empty()) c.out += "There is no snapshot available.\n";
    if (!whole.empty()) c.out += "List of snapshots present on all disks:\n" + block::snapshot_table(whole);
    c.out += partial;
    return {};
}

namespace {
constexpr HumanCommand commands[] = {
    {"savevm", "[tag]", "keeps the machine inside its disks; one of that tag is replaced", save},
    {"loadvm", "tag", "the machine and its disks become what they were", load},
    {"delvm", "tag", "forgets one that was kept", remove},
};
} // namespace

const std::span<const HumanCommand> snapshot_commands = commands;

} // namespace mimic::monitor
