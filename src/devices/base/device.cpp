#include "devices/base/device.hpp"
#include "base/check.hpp"
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/base/watch.hpp"
#include <chrono>

namespace mimic::devices {

MIMIC_TRACE(register_read, "bus", "read", "{} {}+{:#x} value={:#x}");
MIMIC_TRACE(register_write, "bus", "write", "{} {}+{:#x} value={:#x}");

// ---- contexts ---------------------------------------------------------------------------------------------------------

namespace {
// The innermost context that this thread is inside of; the others hang on it.
thread_local Context* innermost = nullptr;
} // namespace

bool Context::inside() const {
    for (const Context* c = innermost; c; c = c->outer_)
        if (c == this) return true;
    return false;
}

Context::Entry::Entry(Context& context) : context_(context) {
    if (context.inside()) {
        nested_ = true;
        return;
    }
    if (innermost && innermost->rank_ >= context.rank_) return;
    context.mutex_.lock();
    context.outer_ = innermost;
    innermost = &context;
    entered_ = true;
}

Context::Entry::~Entry() {
    if (!entered_) return;
    innermost = context_.outer_;
    context_.mutex_.unlock();
}

// ---- devices ----------------------------------------------------------------------------------------------------------

Device::~Device() = default;

std::string Device::path() const {
    if (!parent_) return "/" + id_;
    return parent_->path() + "/" + id_;
}

memory::AddressSpace& Device::memory() const { return machine_->memory(); }

void BankBase::trace_read(std::string_view name, u64 offset, u64 value) const {
    trace::emit(register_read, device_.id(), name, offset, value);
    if (watch) watch(device_, Moment::change);
}
void BankBase::trace_write(std::string_view name, u64 offset, u64 value) const {
    trace::emit(register_write, device_.id(), name, offset, value);
    if (watch) watch(device_, Moment::change); // what came before it
}
void BankBase::unknown(u64 offset, bool write) const {
    trace::guest_error(device_.id(), "{} {} at {:#x}, where no register is", device_.type(), write ? "write" : "read",
                       offset);
}

// ---- ports to character devices ---------------------------------------------------------------------------------------

CharPort::~CharPort() {
    if (chardev_) chardev_->attach(nullptr);
}
// Where time is counted, the guest does not hear that the host is slow.
u32 CharPort::write(std::span<const u8> bytes) {
    if (!chardev_) return u32(bytes.size());
    if (!device_.machine().is_counted()) return chardev_->write(bytes);
    const u32 taken = waiting_.empty() ? chardev_->write(bytes) : 0;
    const std::size_t room = most_waiting - std::min<std::size_t>(waiting_.size(), most_waiting);
    const std::span<const u8> rest = bytes.subspan(taken).first(std::min(room, bytes.size() - taken));
    waiting_.insert(waiting_.end(), rest.begin(), rest.end());
    told_full_ |= taken + rest.size() < bytes.size();
    return taken + u32(rest.size());
}
void CharPort::accept_input() {
    if (chardev_) chardev_->accept_input();
}
void CharPort::thawed() {
    for (chardev::Event e : std::exchange(kept_, {})) event(e);
    writable();
    accept_input();
}
void CharPort::write_out() {
    // Each round gives it as much as it keeps, which waits for its reader for a second at most; the device goes on meanwhile.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    for (bool first = true;; first = false) {
        {
            Context::Entry entry(device_.context());
            if (!chardev_ || waiting_.empty()) return;
            const u32 taken = chardev_->write(waiting_);
            waiting_.erase(waiting_.begin(), waiting_.begin() + taken);
            if (waiting_.empty() || (taken == 0 && !first)) return;
        }
        if (std::chrono::steady_clock::now() >= end) return;
        chardev_->drain();
    }
}
void CharPort::move_to(chardev::Chardev& to) {
    write_out();
    Context::Entry entry(device_.context()); // nobody is about to write to the old one behind this
    chardev_ = &to;                          // which gets what still waits
}
u32 CharPort::room() {
    if (device_.machine().frozen()) return 0;
    Context::Entry entry(device_.context());
    return entry && handlers_.room ? handlers_.room() : 0;
}
void CharPort::receive(std::span<const u8> bytes) {
    device_.machine().arrive(Port::character, device_, [&] {
        if (handlers_.receive) handlers_.receive(bytes);
    });
}
void CharPort::event(chardev::Event e) {
    if (!handlers_.event) return;
    if (device_.machine().frozen()) return kept_.push_back(e);
    device_.machine().arrive(Port::character, device_, [&] { handlers_.event(e); });
}
void CharPort::writable() {
    if (device_.machine().frozen()) return;
    if (device_.machine().is_counted()) {
        Context::Entry entry(device_.context());
        if (!waiting_.empty() && chardev_)
            waiting_.erase(waiting_.begin(), waiting_.begin() + chardev_->write(waiting_));
        if (!told_full_ || waiting_.size() >= most_waiting) return; // the device waits for nothing, or in vain
        told_full_ = false;
    }
    if (!handlers_.writable) return;
    device_.machine().arrive(Port::character, device_, [&] { handlers_.writable(); });
}

// ---- description ------------------------------------------------------------------------------------------------------

u64 Numbers::get(u32 i) const {
    u64 value = 0;
    std::memcpy(&value, static_cast<const u8*>(data) + u64{i} * bytes, bytes);
    return value;
}
void Numbers::set(u32 i, u64 value) const { std::memcpy(static_cast<u8*>(data) + u64{i} * bytes, &value, bytes); }

Describe::Group::Group(Describe& d, std::string_view name, u32 index) : d_(d), length_(d.prefix_.size()) {
    d.prefix_ += fmt::format("{}[{}].", name, index);
}
Describe::Group::Group(Describe& d, std::string_view name) : d_(d), length_(d.prefix_.size()) {
    d.prefix_ += fmt::format("{}.", name);
}

std::string_view Describe::number_type(size_t bytes) {
    return bytes == 1 ? "uint8" : bytes == 2 ? "uint16" : bytes == 4 ? "uint32" : "uint64";
}
void Describe::check(bool ok) { MIMIC_CHECK(ok, "a described array has another length than it says"); }

} // namespace mimic::devices
