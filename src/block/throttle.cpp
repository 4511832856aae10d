#include "block/throttle.hpp"
#include <algorithm>
#include <cmath>

namespace mimic::block {

namespace {

constexpr std::string_view scopes[] = {"total", "read", "write"};
// More than this cannot be meant, and its products still fit a double exactly enough.
constexpr u64 most = 1'000'000'000'000'000;
// A waiting request looks again at least so often: limits can change, and hurry() ends all waits.
constexpr auto longest_nap = std::chrono::milliseconds(20);

using Rate = ThrottleLimits::Rate;

Result<void> check_rate(const Rate& r, std::string_view name) {
    if (r.average > most || r.max > most)
        return Error::invalid_argument("{}: bps/iops/max values must be within [0, {}]", name, most);
    if (r.length == 0) return Error::invalid_argument("{}: the burst length cannot be 0", name);
    if (r.length > 1 && r.max == 0) return Error::invalid_argument("{}: burst length set without burst rate", name);
    if (r.max && r.average == 0)
        return Error::invalid_argument("{}: bps_max/iops_max require corresponding bps/iops values", name);
    if (r.max && r.max < r.average)
        return Error::invalid_argument("{}: bps_max/iops_max cannot be lower than bps/iops", name);
    if (r.length > most / std::max<u64>(r.max, 1))
        return Error::invalid_argument("{}: burst length too high for this burst rate", name);
    return {};
}

} // namespace

bool ThrottleLimits::any() const {
    for (unsigned s : {total, reads, writes})
        if (bytes[s].average || requests[s].average) return true;
    return false;
}

Result<void> ThrottleLimits::check() const {
    for (unsigned s : {total, reads, writes}) {
        TRY(check_rate(bytes[s], fmt::format("bps-{}", scopes[s])));
        TRY(check_rate(requests[s], fmt::format("iops-{}", scopes[s])));
    }
    auto both = [](const Rate(&r)[3]) {
        return (r[total].average && (r[reads].average || r[writes].average)) ||
               (r[total].max && (r[reads].max || r[writes].max));
    };
    if (both(bytes) || both(requests))
        return Error::invalid_argument(
            "bps/iops/max total values and read/write values cannot be used at the same time");
    if (request_size && !requests[total].average && !requests[reads].average && !requests[writes].average)
        return Error::invalid_argument("iops size requires an iops value to be set");
    return {};
}

// ---- options ------------------------------------------------------------------------------------------------------------

void ThrottleOptions::describe(OptionVisitor& v, std::string_view prefix) {
    auto kind = [&](One(&all)[3], std::string_view unit, std::string_view what) {
        for (unsigned s = 0; s < 3; s++) {
            std::string name = fmt::format("{}{}-{}", prefix, unit, scopes[s]);
            std::string_view of = s == 0 ? "" : s == 1 ? " of reads" : " of writes";
            v.number(name, all[s].average, fmt::format("limit of {} a second{}", what, of));
            v.number(name + "-max", all[s].max, fmt::format("burst of {} a second{}", what, of));
            v.number(name + "-max-length", all[s].length, "seconds that a burst may last");
        }
    };
    kind(bytes_, "bps", "bytes");
    kind(requests_, "iops", "requests");
    v.number(fmt::format("{}iops-size", prefix), request_size_, "bytes from which a request counts as several");
}

bool ThrottleOptions::any() const {
    bool some = request_size_.has_value();
    for (unsigned s = 0; s < 3; s++)
        for (const One* o : {&bytes_[s], &requests_[s]}) some = some || o->average || o->max || o->length;
    return some;
}

Result<void> ThrottleOptions::apply(ThrottleLimits& limits) const {
    for (unsigned s = 0; s < 3; s++) {
        auto one = [](const One& o, Rate& r) {
            r = {o.average.value_or(r.average), o.max.value_or(r.max), o.length.value_or(r.length)};
        };
        one(bytes_[s], limits.bytes[s]);
        one(requests_[s], limits.requests[s]);
    }
    limits.request_size = request_size_.value_or(limits.request_size);
    return limits.check();
}

std::string throttle_option(std::string_view name) {
    if (name == "iops_size") return "iops-size";
    for (std::string_view unit : {"bps", "iops"}) {
        if (!name.starts_with(unit)) continue;
        std::string_view rest = name.substr(unit.size());
        std::string_view scope = scopes[0];
        if (rest.starts_with("_rd")) scope = scopes[1];
        if (rest.starts_with("_wr")) scope = scopes[2];
        if (scope != scopes[0]) rest.remove_prefix(3);
        if (rest.empty()) return fmt::format("{}-{}", unit, scope);
        if (rest == "_max") return fmt::format("{}-{}-max", unit, scope);
        if (rest == "_max_length") return fmt::format("{}-{}-max-length", unit, scope);
    }
    return {};
}

// ---- accounting ---------------------------------------------------------------------------------------------------------

void Throttle::set(const ThrottleLimits& limits, Time now) {
    limits_ = limits;
    last_ = now;
    std::ranges::fill(bytes_, Bucket{});
    std::ranges::fill(requests_, Bucket{});
}

void Throttle::leak(Time now) {
    double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    auto one = [seconds](Bucket& b, const Rate& r) {
        b.level = std::max(0.0, b.level - double(r.average) * seconds);
        b.burst = std::max(0.0, b.burst - double(r.max) * seconds);
    };
    for (unsigned s = 0; s < 3; s++) {
        one(bytes_[s], limits_.bytes[s]);
        one(requests_[s], limits_.requests[s]);
    }
}

std::chrono::nanoseconds Throttle::over(const Rate& r, const Bucket& b) {
    if (r.average == 0) return {};
    auto time = [](double units, u64 rate) {
        return std::chrono::nanoseconds(i64(std::ceil(units / double(rate) * 1e9)));
    };
    double brim = r.max ? double(r.max) * double(r.length) : double(r.average) / 10;
    if (b.level > brim) return time(b.level - brim, r.average);
    if (r.length > 1 && b.burst > double(r.max) / 10) return time(b.burst - double(r.max) / 10, r.max);
    return {};
}

std::chrono::nanoseconds Throttle::wait(bool is_write, Time now) {
    leak(now);
    std::chrono::nanoseconds longest{};
    for (unsigned s :
         {unsigned(ThrottleLimits::total), unsigned(is_write ? ThrottleLimits::writes : ThrottleLimits::reads)})
        longest = std::max({longest, over(limits_.bytes[s], bytes_[s]), over(limits_.requests[s], requests_[s])});
    return longest;
}

void Throttle::count(bool is_write, u64 bytes) {
    double units = 1;
    if (limits_.request_size && bytes > limits_.request_size) units = double(bytes) / double(limits_.request_size);
    for (unsigned s :
         {unsigned(ThrottleLimits::total), unsigned(is_write ? ThrottleLimits::writes : ThrottleLimits::reads)}) {
        bytes_[s].level += double(bytes);
        bytes_[s].burst += double(bytes);
        requests_[s].level += units;
        requests_[s].burst += units;
    }
}

// ---- members and their turns ----------------------------------------------------------------------------------------------

ThrottleMember::ThrottleMember(std::shared_ptr<ThrottleGroup> group) : group_(std::move(group)) {
    group_->members_.push_back(this);
}

ThrottleMember::~ThrottleMember() {
    MIMIC_CHECK(waiting_[0].empty() && waiting_[1].empty(), "no request waits for a throttle that goes");
    std::erase(group_->members_, this);
}

void ThrottleMember::hurry(bool on) {
    hurries_ += on ? 1 : unsigned(-1);
    if (on) group_->changed_.wake_all();
}

io::Task<void> ThrottleMember::admit(bool is_write, u64 bytes) {
    ThrottleGroup& g = *group_;
    if (!g.limits().any()) co_return;
    Ticket ticket;
    waiting_[is_write].push_back(&ticket);
    if (!g.busy_[is_write]) g.next(is_write);
    while (!ticket.turn && hurries_ == 0) co_await g.changed_.wait();
    while (hurries_ == 0) {
        auto left = g.throttle_.wait(is_write, std::chrono::steady_clock::now());
        if (left.count() == 0) break;
        co_await g.loop_.sleep(std::min<std::chrono::nanoseconds>(left, longest_nap));
    }
    g.throttle_.count(is_write, bytes);
    std::erase(waiting_[is_write], &ticket);
    if (!ticket.turn) co_return; // somebody else has it
    g.busy_[is_write] = false;
    g.next(is_write);
}

// The turn goes to the first request of the next member that has one.
void ThrottleGroup::next(bool is_write) {
    for (size_t i = 1; i <= members_.size(); i++) {
        size_t at = (turn_[is_write] + i) % members_.size();
        auto& waiting = members_[at]->waiting_[is_write];
        if (waiting.empty()) continue;
        turn_[is_write] = at;
        busy_[is_write] = true;
        waiting.front()->turn = true;
        changed_.wake_all();
        return;
    }
}

void ThrottleGroup::set(const ThrottleLimits& limits) { throttle_.set(limits, std::chrono::steady_clock::now()); }

} // namespace mimic::block
