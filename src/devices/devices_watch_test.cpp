// All state that devices describe is changed by a test of their own: what no test touches can be wrong in silence. Every test of this
// program is watched but those that do anything with any device; at the end, what each class of devices describes is held against what
// was seen to change. Exceptions stand below with their reasons.
#include "devices/base/watch.hpp"
#include "devices/conformance.hpp"
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <typeinfo>

namespace mimic::devices {
namespace {

// State by name; elements of arrays and lists under one.
struct Values final : Describe {
    std::map<std::string, std::string> all;
    explicit Values(Device& d) { d.describe(*this); }
    std::string& of(std::string_view name) {
        std::string plain;
        bool inside = false;
        for (char c : full(name)) {
            if (c == ']') inside = false;
            if (!inside) plain += c;
            if (c == '[') inside = true;
        }
        return all[plain];
    }
    void on_numbers(std::string_view name, const Numbers& n, const StateRules&) override {
        of(name).append(static_cast<const char*>(n.data), size_t{n.bytes} * n.count);
    }
    void on_bytes(std::string_view name, std::vector<u8>& bytes, u32, u32) override {
        of(name).append(bytes.begin(), bytes.end()) += '.';
    }
    bool on_list(std::string_view name, u32& count, u32, u32) override {
        of(name) += std::to_string(count);
        return true;
    }
    void on_line(std::string_view name, Line& line) override { of(name) += line.level() ? '1' : '0'; }
    void on_timer(std::string_view name, Timer& timer) override { of(name) += std::to_string(timer.deadline()) + ' '; }
};

struct Recorder {
    std::mutex mutex;
    std::map<const Device*, std::map<std::string, std::string>> last;
    std::map<std::string, std::set<std::string>> changed; // by class
};
Recorder& recorder() {
    static Recorder one;
    return one;
}

// Tests that do anything with any device say nothing of what it does.
bool is_own_test(const testing::TestInfo* test) {
    if (!test) return false;
    const std::string_view suite = test->test_suite_name(), name = test->name();
    return suite.find("EveryDevice") == suite.npos && !name.starts_with("Survives");
}

// State that no test of its own changes, and why.
struct Exception {
    std::string_view type, name, why;
};
constexpr std::string_view shared = "one code for all virtio devices, which tests of others change",
                           missing = "a test is missing";
constexpr Exception exceptions[] = {
#include "devices/devices_unwatched.inc"
};

class Environment final : public testing::Environment {
    void TearDown() override {
        const testing::UnitTest& all = *testing::UnitTest::GetInstance();
        if (all.test_to_run_count() != all.total_test_count() || all.failed_test_count())
            return; // a part of it says nothing
        std::set<std::string> described, seen, excused;
        std::set<const Exception*> used;
        for (const DeviceType* t : types()) {
            conformance::Rig rig(*t);
            if (!rig.device) continue;
            const std::string kind = typeid(*rig.device).name();
            for (const auto& [name, value] : Values(*rig.device).all) {
                const std::string key = kind + " " + name;
                if (recorder().changed[kind].contains(name)) seen.insert(key);
                const auto* e = std::find_if(std::begin(exceptions), std::end(exceptions),
                                             [&](const Exception& x) { return x.type == t->name && x.name == name; });
                if (e != std::end(exceptions)) {
                    used.insert(e);
                    EXPECT_FALSE(seen.contains(key))
                        << t->name << ": " << name << " is excepted, but a test changes it";
                    excused.insert(key);
                }
                if (described.insert(key).second && !seen.contains(key) && !excused.contains(key))
                    ADD_FAILURE() << t->name << ": no test of its own changes '" << name << "'";
            }
        }
        for (const Exception& e : exceptions)
            EXPECT_TRUE(used.contains(&e)) << e.type << ": there is no '" << e.name << "' to except";
    }
};
const auto* const environment = testing::AddGlobalTestEnvironment(new Environment);

} // namespace

void watch(Device& device, Moment moment) {
    if (!is_own_test(testing::UnitTest::GetInstance()->current_test_info())) return;
    Recorder& r = recorder();
    std::lock_guard lock(r.mutex);
    auto now = Values(device).all;
    auto last = r.last.find(&device);
    if (moment != Moment::reset && last != r.last.end())
        for (const auto& [name, value] : now)
            if (auto before = last->second.find(name); before != last->second.end() && before->second != value)
                r.changed[typeid(device).name()].insert(name);
    if (moment == Moment::end)
        r.last.erase(&device);
    else
        r.last[&device] = std::move(now);
}

} // namespace mimic::devices
