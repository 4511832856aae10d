// Throttling: limits of bytes and requests a second, of one disk or of a group that shares them.
//
// Each limit is a leaky bucket: requests pour in, the average rate flows out. A request waits while the bucket is over its
// brim: a tenth of a second of the average, or with a burst rate, the burst rate for `length` seconds; a second bucket with the
// burst rate then holds the burst itself to that rate.
#pragma once
#include "base/io/sync.hpp"
#include "block/options.hpp"
#include <chrono>
#include <deque>

namespace mimic::block {

struct ThrottleLimits {
    struct Rate {
        u64 average = 0, max = 0, length = 1; // a second; max 0: no burst; seconds
    };
    enum Scope : u8 { total, reads, writes };
    Rate bytes[3], requests[3]; // by Scope
    u64 request_size = 0;       // larger requests count as several of this size; 0: as one

    bool any() const;
    // Errors: limits that contradict each other.
    Result<void> check() const;
};

// The options "bps-total", "iops-read-max", "iops-size"... to be read, printed or set.
class ThrottleOptions {
public:
    // `prefix` before each name: "limits.", "x-".
    void describe(OptionVisitor& v, std::string_view prefix = {});
    // What was given, over `limits`. Errors: check()'s.
    Result<void> apply(ThrottleLimits& limits) const;
    bool any() const;

private:
    struct One {
        std::optional<u64> average, max, length;
    };
    One bytes_[3], requests_[3];
    std::optional<u64> request_size_;
};

// A limit's option by its name in QMP's block_set_io_throttle and old -drive keys: "bps_rd_max" is "bps-read-max". Empty: it
// is none.
std::string throttle_option(std::string_view old_name);

// Pure accounting; times are those of a steady clock.
class Throttle {
public:
    using Time = std::chrono::steady_clock::time_point;
    void set(const ThrottleLimits& limits, Time now);
    const ThrottleLimits& limits() const { return limits_; }
    // How long a request has to wait from now; 0: it may pass, and must then be count()ed.
    std::chrono::nanoseconds wait(bool is_write, Time now);
    void count(bool is_write, u64 bytes);

private:
    struct Bucket {
        double level = 0, burst = 0;
    };
    static std::chrono::nanoseconds over(const ThrottleLimits::Rate& r, const Bucket& b);
    void leak(Time now);
    ThrottleLimits limits_;
    Bucket bytes_[3], requests_[3];
    Time last_{};
};

class ThrottleGroup;

// Who is throttled. Its requests wait in their order; the members of a group take turns.
class ThrottleMember {
public:
    explicit ThrottleMember(std::shared_ptr<ThrottleGroup> group);
    ~ThrottleMember(); // nothing waits any more
    ThrottleMember(const ThrottleMember&) = delete;

    // Returns when a request may go on.
    io::Task<void> admit(bool is_write, u64 bytes);
    // While on, requests pass at once, and those that wait, too: somebody waits until nothing is under way.
    void hurry(bool on);
    ThrottleGroup& group() const { return *group_; }
    const std::shared_ptr<ThrottleGroup>& group_ptr() const { return group_; }

private:
    friend class ThrottleGroup;
    struct Ticket {
        bool turn = false;
    };
    std::shared_ptr<ThrottleGroup> group_;
    std::deque<Ticket*> waiting_[2]; // by is_write
    unsigned hurries_ = 0;
};

class ThrottleGroup {
public:
    ThrottleGroup(io::Loop& loop, std::string name) : loop_(loop), name_(std::move(name)), changed_(loop) {}
    const std::string& name() const { return name_; }
    const ThrottleLimits& limits() const { return throttle_.limits(); }
    void set(const ThrottleLimits& limits);
    bool used() const { return !members_.empty(); }

private:
    friend class ThrottleMember;
    void next(bool is_write);

    io::Loop& loop_;
    std::string name_;
    Throttle throttle_;
    std::vector<ThrottleMember*> members_;
    size_t turn_[2] = {}; // whose turn it was last
    bool busy_[2] = {};   // somebody has its turn
    io::WaitList changed_;
};

} // namespace mimic::block
